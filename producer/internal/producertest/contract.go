package producertest

import (
	"errors"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// Contract is openapi.yaml with openai.yaml, read once for all tests of a package.
var Contract = sync.OnceValues(func() (map[string]any, error) {
	var doc, door map[string]any
	err := errors.Join(yaml.Unmarshal(schemas.OpenAPI(), &doc), yaml.Unmarshal(schemas.OpenAIAPI(), &door))
	if err != nil {
		return nil, err
	}
	members := func(of map[string]any, path ...string) map[string]any {
		for _, name := range path {
			of, _ = of[name].(map[string]any)
		}
		return of
	}
	for _, section := range [][]string{{"paths"}, {"components", "schemas"}, {"components", "responses"}} {
		maps.Copy(members(doc, section...), members(door, section...))
	}
	return plain(doc).(map[string]any), nil
})

// plain turns YAML's numbers into JSON's.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = plain(member)
		}
	case []any:
		for i, member := range v {
			v[i] = plain(member)
		}
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return v
}

// conforms checks a JSON answer against the schema that openapi.yaml gives for
// its path, method and status.
func conforms(t testing.TB, method, path string, r Reply) {
	t.Helper()
	doc, err := Contract()
	Must(t, err)
	path, _, _ = strings.Cut(path, "?")
	pointer, found := schemaPointer(doc, strings.ToLower(method), path, r)
	if door := "/openai/v1/"; !found && strings.HasPrefix(path, door) {
		pointer, found = "/components/schemas/DoorError", true
	}
	if !found && strings.HasPrefix(path, "/mcp") {
		pointer, found = "/components/schemas/RPCError", true
	}
	if !found {
		if r.Header.Get("Content-Type") != httpedge.ContentType {
			t.Errorf("%s %s: answer %d with %s is not documented", method, path, r.Code, r.Header.Get("Content-Type"))
			return
		}
		pointer = "/components/schemas/Problem"
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	Must(t, c.AddResource("openapi.json", doc))
	schema, err := c.Compile("openapi.json#" + pointer)
	Must(t, err)
	if err := schema.Validate(r.Body); err != nil {
		t.Errorf("%s %s: answer %d is not as documented: %v\n%.500s", method, path, r.Code, err, r.Raw)
	}
}

func schemaPointer(doc map[string]any, method, path string, r Reply) (string, bool) {
	template := regexp.MustCompile(`^/v1/tasks/[^/]+`).ReplaceAllString(path, "/v1/tasks/{id}")
	template = regexp.MustCompile(`^/openai/v1/(responses|models|files|batches)/[^/]+`).
		ReplaceAllString(template, "/openai/v1/$1/{id}")
	template = regexp.MustCompile(`^/v1/controls/[^/]+/.+`).ReplaceAllString(template, "/v1/controls/{kind}/{target}")
	template = regexp.MustCompile(`^/v1/artifacts/[^/]+`).ReplaceAllString(template, "/v1/artifacts/{hash}")
	item, _ := doc["paths"].(map[string]any)[template].(map[string]any)
	operation, _ := item[method].(map[string]any)
	if operation == nil {
		return "", false
	}
	code := strconv.Itoa(r.Code)
	responses := operation["responses"].(map[string]any)
	response, _ := responses[code].(map[string]any)
	if response == nil {
		code = "default"
		response, _ = responses[code].(map[string]any)
	}
	if response == nil {
		return "", false
	}
	kind := strings.ReplaceAll(r.Header.Get("Content-Type"), "/", "~1")
	if ref, _ := response["$ref"].(string); ref != "" {
		name := ref[strings.LastIndex(ref, "/")+1:]
		return "/components/responses/" + name + "/content/" + kind + "/schema", true
	}
	if content, _ := response["content"].(map[string]any); content[r.Header.Get("Content-Type")] == nil {
		kind = "application~1json"
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	return "/paths/" + escape.Replace(template) + "/" + method + "/responses/" + code + "/content/" + kind +
		"/schema", true
}
