package definitions

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Offer is one service as all processors together offer it.
type Offer struct {
	// Service is "mode/name".
	Service     string `json:"service"`
	Mode        string `json:"mode"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Versions are those that are offered side by side; none where it has none.
	Versions []string `json:"versions"`
	// Lanes are those from which somebody takes its tasks.
	Lanes []string `json:"lanes"`
	// Workers is how many processors offer it, and Since when the first of them began to.
	Workers int          `json:"workers"`
	Since   schemas.Time `json:"since"`
	// Generic says that task names beyond those listed are taken too.
	Generic bool          `json:"generic"`
	Tasks   []OfferedTask `json:"tasks"`
}

// OfferedTask is a task as the processor that began last describes it.
type OfferedTask struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	Input       jsontext.Value `json:"input,omitzero"`
	Result      jsontext.Value `json:"result,omitzero"`
}

type serviceKey struct{ mode, name string }

// offers is what is offered at a moment. It is immutable.
type offers struct {
	list  []Offer
	tasks map[serviceKey]map[string][]variant
}

// variant is the input schema of one version of a task.
type variant struct {
	version string
	schema  *Schema
	text    string
}

// newOffers merges what processors offer.
func newOffers(held map[string]*holding) *offers {
	grouped := map[serviceKey][]*holding{}
	for _, h := range held {
		key := serviceKey{h.service.Mode, h.service.Name}
		grouped[key] = append(grouped[key], h)
	}
	all := &offers{list: make([]Offer, 0, len(grouped)), tasks: make(map[serviceKey]map[string][]variant, len(grouped))}
	for key, group := range grouped {
		slices.SortFunc(group, func(a, b *holding) int { // who began last first
			if later := b.service.Since.Compare(a.service.Since.Time); later != 0 {
				return later
			}
			return strings.Compare(a.service.Worker, b.service.Worker)
		})
		all.list = append(all.list, merge(group))
		all.tasks[key] = variantsOf(group)
	}
	slices.SortFunc(all.list, func(a, b Offer) int { return strings.Compare(a.Service, b.Service) })
	return all
}

func merge(group []*holding) Offer {
	latest := group[0].service
	offer := Offer{
		Service: latest.Mode + "/" + latest.Name, Mode: latest.Mode, Name: latest.Name, Description: latest.Description,
		Versions: []string{}, Lanes: []string{}, Workers: len(group), Since: group[len(group)-1].service.Since,
	}
	tasks := map[string]OfferedTask{}
	for _, h := range group {
		s := h.service
		offer.Generic = offer.Generic || s.Generic
		if s.Version != "" && !slices.Contains(offer.Versions, s.Version) {
			offer.Versions = append(offer.Versions, s.Version)
		}
		for _, lane := range s.Lanes {
			if !slices.Contains(offer.Lanes, lane) {
				offer.Lanes = append(offer.Lanes, lane)
			}
		}
		for _, task := range s.Tasks {
			if _, known := tasks[task.Name]; !known {
				tasks[task.Name] = OfferedTask(task)
			}
		}
	}
	slices.Sort(offer.Versions)
	slices.Sort(offer.Lanes)
	offer.Tasks = slices.SortedFunc(maps.Values(tasks),
		func(a, b OfferedTask) int { return strings.Compare(a.Name, b.Name) })
	return offer
}

// variantsOf are the schemas of each task; a task that some processor takes with any
// input is left out.
func variantsOf(group []*holding) map[string][]variant {
	tasks := map[string][]variant{}
	for _, h := range group {
		for name := range h.compiled {
			tasks[name] = nil
		}
	}
	for name := range tasks {
		for _, h := range group {
			schema, listed := h.compiled[name]
			if !listed && !h.service.Generic {
				continue // it would not run the task at all
			}
			v := variant{h.service.Version, schema, string(h.service.input(name))}
			if !slices.ContainsFunc(tasks[name], func(o variant) bool { return o.version == v.version && o.text == v.text }) {
				tasks[name] = append(tasks[name], v)
			}
		}
		if !slices.ContainsFunc(tasks[name], func(v variant) bool { return v.schema != nil }) {
			delete(tasks, name)
		}
	}
	return tasks
}

// Services lists what is offered, in the order of their names. It must not be changed.
func (c *Catalog) Services() []Offer { return c.offers.Load().list }

// Check is nil unless a task's input suits none of the schemas that processors have for
// it, of its version if it names one; then it is where it does not suit the one that began
// last. What is not known is not refused.
func (c *Catalog) Check(task *schemas.Task) *MismatchError {
	variants := c.offers.Load().tasks[serviceKey{task.Mode, task.Service}][task.TaskName]
	var first *MismatchError
	for _, v := range variants {
		if task.Version != "" && v.version != task.Version {
			continue
		}
		err := v.schema.Check(task.InputData)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
