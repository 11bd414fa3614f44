package openai

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/httpedge"
)

// Service is a service that takes requests.
type Service struct {
	Mode, Name string
	// Task is the task's name there; that of the OpenAI API's call if empty: responses,
	// chat.completions or embeddings.
	Task string
}

// Models say which service takes a model's requests.
type Models struct {
	// Aliases are the names in tasklane.yaml.
	Aliases map[string]Service
	// Providers are the names of providers, each a service chat/NAME: a model PROVIDER/MODEL
	// is that provider's MODEL.
	Providers []string
	// ProviderOf is the provider that a price list names for a model, "" for none.
	ProviderOf func(model string) string
	// Listed are models that are served, for GET /models, beside the aliases.
	Listed []string
}

// ModelsOf are the models of tasklane.yaml.
func ModelsOf(s config.Settings) Models {
	m := Models{Aliases: map[string]Service{}, Providers: slices.Sorted(maps.Keys(s.Providers))}
	for name, model := range s.Models {
		to := Service{Mode: "chat", Name: model.Provider}
		if mode, service, ok := strings.Cut(model.Service, "/"); ok {
			to = Service{Mode: mode, Name: service}
			to.Name, to.Task, _ = strings.Cut(service, "/")
		}
		m.Aliases[name] = to
	}
	return m
}

// ownPrefix begins the model that stands for a service itself:
// tasklane/MODE/SERVICE or tasklane/MODE/SERVICE/TASK.
const ownPrefix = "tasklane/"

// maxModelChars bounds a model's name.
const maxModelChars = 200

// target finds the service of a model. bare is the name that the service knows the model
// by, "" if it is the same.
func (m Models) target(model string) (s Service, bare string, ok bool) {
	if s, known := m.Aliases[model]; known {
		return s, "", true
	}
	if rest, own := strings.CutPrefix(model, ownPrefix); own {
		parts := strings.SplitN(rest, "/", 3)
		if len(parts) < 2 || slices.Contains(parts, "") {
			return Service{}, "", false
		}
		s := Service{Mode: parts[0], Name: parts[1]}
		if len(parts) == 3 {
			s.Task = parts[2]
		}
		return s, "", true
	}
	if provider, name, cut := strings.Cut(model, "/"); cut && name != "" && slices.Contains(m.Providers, provider) {
		return Service{Mode: "chat", Name: provider}, name, true
	}
	if m.ProviderOf != nil {
		if provider := m.ProviderOf(model); provider != "" {
			return Service{Mode: "chat", Name: provider}, "", true
		}
	}
	return Service{Mode: "chat", Name: "openai"}, "", true
}

// modelObject is a model as the API shows it.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// modelsCreated is the time that all models have: when one was made is not known.
const modelsCreated = 1767225600

func (m Models) object(name string) modelObject {
	s, _, _ := m.target(name)
	return modelObject{ID: name, Object: "model", Created: modelsCreated, OwnedBy: s.Mode + "/" + s.Name}
}

func (m Models) names() []string {
	names := slices.Clone(m.Listed)
	for name := range m.Aliases {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// listModels is GET /models.
func (d *Door) listModels(c *gin.Context) error {
	list := []modelObject{}
	for _, name := range d.config.Models.names() {
		list = append(list, d.config.Models.object(name))
	}
	return answer(c, http.StatusOK, map[string]any{"object": "list", "data": list})
}

// retrieveModel is GET /models/{id}.
func (d *Door) retrieveModel(c *gin.Context) error {
	name := strings.TrimPrefix(c.Param("id"), "/")
	if !slices.Contains(d.config.Models.names(), name) {
		p := notFound("the model " + quote(name) + " is not listed here")
		p.Type, p.Field = "model_not_found", "model"
		return p
	}
	return answer(c, http.StatusOK, d.config.Models.object(name))
}

// answer sends a JSON value. Members of objects are in the order of their names.
func answer(c *gin.Context, status int, value any) error {
	if o, is := value.(object); is {
		value = o.value()
	}
	return httpedge.Answer(c.Writer, status, value)
}
