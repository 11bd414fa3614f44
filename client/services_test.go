package client

import (
	"net/http"
	"strings"
	"testing"
)

func TestServices(t *testing.T) {
	api := newFakeAPI(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"services":[{"service":"chat/helper","mode":"chat","name":"helper","versions":["1"],
			"lanes":["fast"],"workers":2,"since":"2026-11-30T14:00:00.000Z","generic":true,
			"tasks":[{"name":"ask","input":{"type":"object"}}],"later":1}]}`))
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	c, err := New(Config{Server: api.start(t)})
	if err != nil {
		t.Fatal(err)
	}
	services, err := c.Services(t.Context())
	if err != nil || len(services) != 1 {
		t.Fatalf("%+v, %v", services, err)
	}
	got := services[0]
	if got.Service != "chat/helper" || got.Workers != 2 || !got.Generic || got.Since.Hour() != 14 ||
		string(got.Tasks[0].Input) != `{"type":"object"}` || api.seen()[0].path != "/v1/services" {
		t.Errorf("%+v", got)
	}
	if _, err := c.Services(t.Context()); err == nil || !strings.Contains(err.Error(), "list services") {
		t.Errorf("a refusal: %v", err)
	}
}
