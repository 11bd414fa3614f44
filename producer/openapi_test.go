package producer_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/schemas"
)

func TestRoutesAreDocumented(t *testing.T) {
	doc, err := producertest.Contract()
	must(t, err)
	documented := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	served := map[string]bool{}
	param := regexp.MustCompile(`[:*](\w+)`)
	for _, r := range producer.Routes() {
		if r.Method == http.MethodHead {
			continue // goes with every GET; TestEveryRoute sees to it
		}
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
