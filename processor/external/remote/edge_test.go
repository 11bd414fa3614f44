package remote

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/processor"
)

const (
	tokenOne = "canary-token-one-5d1f"
	tokenTwo = "canary-token-two-88aa"
)

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// every tries all that is served, with an id in its place.
func (w *world) every(id string, try func(method, path string)) {
	w.t.Helper()
	tried := 0
	for _, route := range w.server.routes() {
		method := http.MethodGet
		if len(route.Methods) > 0 {
			method = route.Methods[0]
		}
		try(method, strings.ReplaceAll(route.Path, ":id", id))
		tried++
	}
	if tried < 13 {
		w.t.Errorf("only %d addresses were tried", tried)
	}
}

// TestEveryRouteNeedsAToken, the one of its service: another service's opens nothing that is not its own.
func TestEveryRouteNeedsAToken(t *testing.T) {
	w := newWorld(t, ServiceConfig{Mode: "test", Name: "one", Token: tokenOne},
		ServiceConfig{Mode: "test", Name: "two", Token: tokenTwo})
	one, two := bearer(tokenOne), bearer(tokenTwo)
	w.post("/v1/worker/ready", anyTask, one...).expect(t, 200, `"test/one"`)
	w.post("/v1/worker/ready", anyTask, two...).expect(t, 200, `"test/two"`)
	running := w.run(asked{})
	given := w.next(one...)
	w.every(given.id(), func(method, path string) {
		for _, headers := range [][]string{nil, bearer("wrong"), bearer(tokenOne + "x"), {"Authorization", "Basic eDp5"},
			bearer(""), {"Authorization", tokenOne}} {
			s := w.do(method, path+"?colour=red", "", headers...)
			if s.code != 401 || s.header.Get("WWW-Authenticate") == "" || strings.Contains(s.body, "test/") {
				t.Errorf("%s %s with %v: %d %s", method, path, headers, s.code, s.body)
			}
		}
		if s := w.do(method, path+"?token="+tokenOne, ""); s.code != 401 && s.code != 400 {
			t.Errorf("%s %s with the token in its query: %d %s", method, path, s.code, s.body)
		}
		if strings.Contains(path, given.id()) {
			w.do(method, path, "", two...).expect(t, 404, "no attempt")
		}
	})
	w.do("GET", "/v1/worker/next?service=test/two", "", one...).expect(t, 422, "there is test/one")
	w.post("/v1/worker/ready?service=test/two", anyTask, one...).expect(t, 422, "there is test/one")
	w.post(path(given, "result"), `{"result":1}`, one...).expect(t, 200)
	if o := <-running.done; o.result != "1" {
		t.Errorf("%+v", o)
	}
	if strings.Contains(w.log.String(), "canary-token") {
		t.Error("a token is in the log")
	}
}

// TestServicesOfOneToken: which of several is meant has to be said.
func TestServicesOfOneToken(t *testing.T) {
	w := newWorld(t, ServiceConfig{Mode: "test", Name: "one"}, ServiceConfig{Mode: "test", Name: "two"},
		ServiceConfig{Mode: "test", Name: "three", Token: tokenTwo})
	w.do("GET", "/v1/worker/next", "").expect(t, 422, "test/one, test/two", `"field":"service"`)
	w.post("/v1/worker/ready?service=test/two", anyTask).expect(t, 200, `"test/two"`)
	w.do("GET", "/v1/worker/next?service=test/two&wait=0s", "").expect(t, 204)
	w.do("GET", "/v1/worker/next?service=test/three", "").expect(t, 422)
	w.do("GET", "/v1/worker/next?service=test/three", "", bearer(tokenTwo)...).expect(t, 409)
	w.do("GET", "/v1/worker/next", "", bearer(tokenTwo)...).expect(t, 409, "no worker has said yet")
	w.do("GET", "/v1/worker/next?service=test/two&wait=0s", "", bearer("of no service")...).expect(t, 204)
	running := w.runOf(w.server.services[1], asked{})
	given := w.do("GET", "/v1/worker/next?service=test/two&wait=1m", "").expect(t, 200)
	w.post(path(given, "result"), `{"result":1}`, bearer(tokenTwo)...).expect(t, 404)
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
}

// TestEveryRouteReadsItsQueryStrictly, and has no other form.
func TestEveryRouteReadsItsQueryStrictly(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	w.every(given.id(), func(method, path string) {
		for _, query := range []string{"colour=red", "wait=1s&wait=2s", "service=a;b", "servce=x", "user_id=%ff", "wait="} {
			w.do(method, path+"?"+query, "").expect(t, 422)
		}
		if s := w.do(method, path+"/", ""); s.code != 404 && s.code != 405 {
			t.Errorf("%s %s/: %d", method, path, s.code)
		}
		other := http.MethodDelete
		w.do(other, path, "").expect(t, 405, "/v1/worker/next")
		if s := w.do(http.MethodHead, path, ""); s.code != 405 {
			t.Errorf("HEAD %s: %d", path, s.code)
		}
	})
	for _, wait := range []string{"-1s", "61s", "1", "soon"} {
		w.do("GET", "/v1/worker/next?wait="+wait, "").expect(t, 422, "at most 1m")
	}
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
}

// TestEveryRouteIsClosedToPages: a web page, or a name of its own for this machine, gets at no task.
func TestEveryRouteIsClosedToPages(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	w.every(given.id(), func(method, path string) {
		for _, headers := range [][]string{
			{"Origin", "https://evil.example"}, {"Origin", "http://" + w.server.Addr()}, {"Origin", "null"},
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "none"},
			{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		} {
			w.do(method, path, "", headers...).expect(t, 403)
		}
		for _, host := range []string{"evil.example", "tasklane.internal:8090", ""} {
			s := w.bare(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
			s.expect(t, 421, "loopback")
		}
	})
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
	// Where everybody proves himself, the name is anybody's.
	w = newWorld(t, ServiceConfig{Mode: "test", Name: "one", Token: tokenOne})
	w.bare("GET /v1/worker/next HTTP/1.1\r\nHost: workers.example\r\nAuthorization: Bearer "+tokenOne+
		"\r\nConnection: close\r\n\r\n").expect(t, 409)
}

// TestConfigs: what cannot be served safely is refused, and with what to change.
func TestConfigs(t *testing.T) {
	one := func(token string) []ServiceConfig { return []ServiceConfig{{Mode: "a", Name: "b", Token: token}} }
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Addr: "0.0.0.0:0", Services: one("")}, "the service a/b has no token"},
		{Config{Addr: ":8090", Services: one("")}, "--insecure"},
		{Config{Addr: "workers.example:8090", Services: one("")}, "give it a token"},
		{Config{Addr: "8090", Services: one("")}, "host:port"},
		{Config{Addr: "127.0.0.1:0", Services: one("short")}, "can be guessed"},
		{Config{Addr: "127.0.0.1:0", Services: append(one(""), one("")...)}, "given twice"},
		{Config{Addr: "127.0.0.1:0", Services: []ServiceConfig{{Mode: "a"}}}, "a mode and a name"},
		{Config{Addr: "127.0.0.1:0", Services: []ServiceConfig{{Mode: "a", Name: "b", MaxInflight: 10_001}}}, "1 to 10000"},
		{Config{Addr: "127.0.0.1:0", Services: []ServiceConfig{{Mode: "a", Name: "b", MaxInflight: -1}}}, "1 to 10000"},
		{Config{Addr: "127.0.0.1:0", Services: []ServiceConfig{{Mode: "a", Name: "b", Heartbeat: 1}}}, "1s to 1h"},
		{Config{Addr: "0.0.0.0:0", Services: one("")}, "0.0.0.0:0 can be reached"},
		{Config{Addr: "0.0.0.0:0", Services: one(""), Insecure: true}, ""},
		{Config{Addr: "0.0.0.0:0", Services: one(tokenOne)}, ""},
		{Config{Addr: "localhost:0", Services: one("")}, ""},
	} {
		_, err := New(c.config)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.config, err, c.want)
		}
	}
	s, err := New(Config{Addr: "127.0.0.1:1", Services: one("")})
	must(t, err)
	w := newWorld(t)
	s.config.Addr = w.server.Addr()
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--worker-listen") {
		t.Errorf("on an address that is taken: %v", err)
	}
}

// TestServicesAreRegistered: a processor can have them, and describes none of their tasks by itself.
func TestServicesAreRegistered(t *testing.T) {
	w := newWorld(t)
	r, err := processor.NewRegistry(w.server.Services()...)
	must(t, err)
	if _, err := r.Lookup("test", "one", "anything"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.request(ctx, http.MethodGet, "/v1/worker/next", nil); err == nil {
		t.Error("a request without time was answered")
	}
	if p := httpedge.ProblemOf(errUnknownID()); p == nil || p.Status != 404 {
		t.Errorf("%+v", p)
	}
}
