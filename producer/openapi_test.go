package producer

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// contract is openapi.yaml, read once for all tests of the package.
var contract = sync.OnceValues(func() (map[string]any, error) {
	var doc map[string]any
	err := yaml.Unmarshal(schemas.OpenAPI(), &doc)
	return plain(doc).(map[string]any), err
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

func TestRoutesAreDocumented(t *testing.T) {
	doc, err := contract()
	must(t, err)
	documented := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	served := map[string]bool{}
	param := regexp.MustCompile(`[:*](\w+)`)
	for _, r := range new(Producer).routes().Routes() {
		served[r.Method+" "+param.ReplaceAllString(r.Path, "{$1}")] = true
	}
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Error("documented (-) and served (+) differ:\n" + diff)
	}
}

func TestAsyncAPI(t *testing.T) {
	var doc map[string]any
	must(t, yaml.Unmarshal(schemas.AsyncAPI(), &doc))
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("version %v", doc["asyncapi"])
	}
	addresses := map[string]bool{}
	for _, channel := range doc["channels"].(map[string]any) {
		addresses[channel.(map[string]any)["address"].(string)] = true
	}
	var topics schemas.Topics
	for _, want := range []string{topics.Lane("{lane}"), topics.Events(), topics.Control(), topics.DeadLetters(), "/ws"} {
		if !addresses[want] {
			t.Errorf("%s is not described", want)
		}
	}
	for _, ref := range regexp.MustCompile(`'#/([^']+)'`).FindAllStringSubmatch(string(schemas.AsyncAPI()), -1) {
		var at any = doc
		for _, name := range strings.Split(ref[1], "/") {
			member, _ := at.(map[string]any)
			at = member[name]
		}
		if at == nil {
			t.Errorf("reference %s leads nowhere", ref[1])
		}
	}
}

// conforms checks a JSON answer against the schema that openapi.yaml gives for
// its path, method and status.
func conforms(t testing.TB, method, path string, r reply) {
	t.Helper()
	doc, err := contract()
	must(t, err)
	path, _, _ = strings.Cut(path, "?")
	pointer, found := schemaPointer(doc, strings.ToLower(method), path, r)
	if !found {
		if r.header.Get("Content-Type") != problem.ContentType {
			t.Errorf("%s %s: answer %d with %s is not documented", method, path, r.code, r.header.Get("Content-Type"))
			return
		}
		pointer = "/components/schemas/Problem"
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	must(t, c.AddResource("openapi.json", doc))
	schema, err := c.Compile("openapi.json#" + pointer)
	must(t, err)
	if err := schema.Validate(r.body); err != nil {
		t.Errorf("%s %s: answer %d is not as documented: %v\n%.500s", method, path, r.code, err, r.raw)
	}
}

func schemaPointer(doc map[string]any, method, path string, r reply) (string, bool) {
	template := regexp.MustCompile(`^/v1/tasks/[^/]+`).ReplaceAllString(path, "/v1/tasks/{id}")
	template = regexp.MustCompile(`^/v1/controls/[^/]+/.+`).ReplaceAllString(template, "/v1/controls/{kind}/{target}")
	item, _ := doc["paths"].(map[string]any)[template].(map[string]any)
	operation, _ := item[method].(map[string]any)
	if operation == nil {
		return "", false
	}
	code := strconv.Itoa(r.code)
	responses := operation["responses"].(map[string]any)
	response, _ := responses[code].(map[string]any)
	if response == nil {
		return "", false
	}
	if ref, _ := response["$ref"].(string); ref != "" {
		name := ref[strings.LastIndex(ref, "/")+1:]
		return "/components/responses/" + name + "/content/application~1problem+json/schema", true
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	return "/paths/" + escape.Replace(template) + "/" + method + "/responses/" + code + "/content/application~1json/schema", true
}
