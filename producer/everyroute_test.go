package producer_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/schemas"
)

// address is a request's path for a route of gin's.
func address(route string) string {
	return strings.NewReplacer(":id", "t1", "*id", "t1", ":hash", strings.Repeat("0a", 32), ":kind", "pause",
		"*target", "lane/fast").Replace(route)
}

// Every route refuses a query that it does not understand as a whole. The routes are
// those that are served, so none can be forgotten.
func TestEveryRouteReadsItsQueryStrictly(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	for _, route := range producer.Routes() {
		if route.Method == http.MethodHead {
			continue
		}
		for name, tt := range map[string]struct{ query, field string }{
			"semicolon":   {"user_id=team;7", "user_id"},
			"percent":     {"user_id=a%zz", "user_id"},
			"name":        {"user%=a", "user%"},
			"no name":     {"=a", ""},
			"not UTF-8":   {"user_id=%ff", "user_id"},
			"repeated":    {"user_id=ada&user_id=bob", "user_id"},
			"escaped":     {"user_id=ada&user%5Fid=bob", "user_id"},
			"unknown":     {"usr_id=ada", "usr_id"},
			"other":       {"user=ada", "user"},
			"of no route": {"colour=red", "colour"},
		} {
			t.Run(route.Method+" "+route.Path+" "+name, func(t *testing.T) {
				r := w.Do(route.Method, address(route.Path)+"?"+tt.query, "")
				r.Expect(t, 422)
				kind, field := httpedge.ContentType, r.Text("field")
				if fault, _ := r.Body["error"].(map[string]any); fault != nil {
					kind = "application/json"
					field, _ = fault["param"].(string)
					if data, _ := fault["data"].(map[string]any); data != nil {
						field, _ = data["field"].(string)
					}
				}
				if r.Header.Get("Content-Type") != kind || field != tt.field {
					t.Errorf("answer %s", r.Raw)
				}
			})
		}
	}
	w.Get("/v1/tasks?user=ada").Expect(t, 422, `Did you mean \"user_id\"?`)
	w.Get("/v1/tasks?state=running").Expect(t, 422, `Did you mean \"status\"?`)
	if n := len(w.Get("/v1/controls").Body["controls"].([]any)); n != 0 {
		t.Errorf("%d controls were written", n)
	}
	w.Get("/v1/tasks/t1").Expect(t, 200, `"pending"`)
}

// An empty parameter would count as left out, and the call be about more than was meant. That is so for every
// parameter of every route.
func TestEveryRouteRefusesEmptyParameters(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	tried := 0
	for _, route := range producer.Table() {
		for _, name := range route.Query {
			for _, query := range []string{name + "=", name, "&" + name + "=&"} {
				method := http.MethodGet
				if len(route.Methods) > 0 {
					method = route.Methods[0]
				}
				r := w.Do(method, address(route.Path)+"?"+query, "")
				r.Expect(t, 422, "is empty", "leave it out")
				if fault, _ := r.Body["error"].(map[string]any); r.Text("field") != name &&
					(fault == nil || fault["data"].(map[string]any)["field"] != name) {
					t.Errorf("%s?%s: %s", route.Path, query, r.Raw)
				}
				tried++
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d empty parameters were tried", tried)
	}
	w.Do("POST", "/v1/tasks/t1/cancel", `{"user_id":""}`).Expect(t, 422, "is empty")
	w.Do("POST", "/v1/tasks/t1/cancel", `{"usr_id":"bob"}`).Expect(t, 422, `"field":"usr_id"`, `Did you mean \"user_id\"?`)
	w.Get("/v1/tasks/t1").Expect(t, 200, `"pending"`) // nothing was cancelled
	w.Do("POST", "/v1/tasks/t1/cancel", `{"user_id":"ada"}`).Expect(t, 202)
}

// A task's id that no address can hold is none that can be asked for.
func TestIDsThatNoTaskCanHave(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"%2E", "%2E%2E", "a%20b", "a%2Fb", strings.Repeat("x", 201), "caf%C3%A9", "%00"} {
		for _, path := range []string{"", "/result", "/events"} {
			w.Get("/v1/tasks/"+id+path).Expect(t, 404)
		}
		w.Do("POST", "/v1/tasks/"+id+"/cancel", `{"user_id":"ada"}`).Expect(t, 404)
	}
	for _, id := range []string{".", ".."} {
		w.Do("POST", "/v1/controls", `{"kind":"cancel","target":{"type":"task","user_id":"ada","task_id":"`+id+`"}}`).
			Expect(t, 422, "must not be . or ..")
	}
}

func TestEveryRouteHasHead(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Event("t1", schemas.Completed, `{}`) // its stream would not end
	routes := map[string]bool{}
	for _, route := range producer.Routes() {
		routes[route.Method+" "+route.Path] = true
	}
	for _, route := range producer.Routes() {
		path := address(route.Path)
		head := w.Do("HEAD", path, "")
		switch {
		case len(head.Raw) > 0:
			t.Errorf("HEAD %s has a body: %s", path, head.Raw)
		case !routes["GET "+route.Path]:
			head.Expect(t, 405)
		case head.Code != w.Get(path).Code || head.Header.Get("Content-Type") != w.Get(path).Header.Get("Content-Type"):
			t.Errorf("HEAD %s: %d, %v", path, head.Code, head.Header)
		}
	}
}

// A path with a slash at its end is another one. Nothing is redirected: a client that
// follows would send a POST as a GET.
func TestEveryRouteWithATrailingSlash(t *testing.T) {
	w := newWorld(t)
	for _, route := range producer.Routes() {
		r := w.Do(route.Method, address(route.Path)+"/", "")
		if strings.Contains(route.Path, "*target") {
			r.Expect(t, 422)
		} else if r.Code != 404 && r.Code != 405 {
			t.Errorf("%s %s/: %d %s", route.Method, route.Path, r.Code, r.Raw)
		}
	}
}

// Load balancers ask for the health without a Host or with one of their own. The rest
// stays closed to names that are not the server's.
func TestEveryRouteWithoutHost(t *testing.T) {
	w := newWorld(t)
	probes := map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}
	for _, route := range producer.Routes() {
		for _, rest := range []string{"HTTP/1.0", "HTTP/1.0\r\nHost: lb.example", "HTTP/1.0\r\nHost: ", "HTTP/1.1",
			"HTTP/1.1\r\nHost: lb.example", "HTTP/1.1\r\nHost: "} {
			want := http.StatusMisdirectedRequest
			switch {
			case probes[route.Path]:
				want = http.StatusOK
			case rest == "HTTP/1.1":
				want = http.StatusBadRequest // by net/http, as RFC 9112 says
			}
			request := fmt.Sprintf("%s %s %s\r\n\r\n", route.Method, address(route.Path), rest)
			if got := bare(t, w.Role.Addr(), request); got != want {
				t.Errorf("%q: %d, want %d", request, got, want)
			}
		}
	}
}

// bare sends a request as it is written and gives the answer's status.
func bare(t *testing.T, addr, request string) int {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(bounded(t), "tcp", addr)
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(producertest.Patience)))
	_, err = io.WriteString(conn, request)
	must(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	must(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}
