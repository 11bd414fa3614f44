package httpedge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/auth"
)

// asked sends one request to a server as the roles make them.
func asked(t *testing.T, r Router, method, target string, headers ...string) (*httptest.ResponseRecorder, *Problem) {
	t.Helper()
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	policy, err := NewPolicy(PolicyConfig{Listen: "127.0.0.1:1"})
	must(t, err)
	request := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	request.Host = "127.0.0.1"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		} else {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	recorder := httptest.NewRecorder()
	NewServer(policy.Middleware(r.Engine()), time.Minute, r.Logger).Handler.ServeHTTP(recorder, request)
	if got := recorder.Header().Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
		t.Errorf("%s %s: browsers may guess the type: %q", method, target, got)
	}
	if recorder.Header().Get("Content-Type") != ContentType {
		return recorder, nil
	}
	bad := new(Problem)
	if method != http.MethodHead {
		must(t, json.Unmarshal(recorder.Body.Bytes(), bad))
	}
	return recorder, bad
}

func answering(err error) Router {
	return Router{Routes: []Route{{Path: "/x", Serve: func(*gin.Context) error { return err }}}, Help: "look elsewhere"}
}

// Whatever a handler returns is answered, and what nobody has thought of tells nothing
// of itself.
func TestErrorsAreAnswered(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		status  int
		detail  string
		headers map[string]string
	}{
		"a problem": {NewProblem(http.StatusConflict, "it is taken"), 409, "it is taken", nil},
		"wrapped":   {fmt.Errorf("look up task: %w", Invalid("limit", "too much")), 422, "too much", nil},
		"for now":   {Unavailable("later"), 503, "later", map[string]string{"Retry-After": "1"}},
		"without a token": {&auth.RefusalError{Reason: auth.Missing}, 401, "Bearer TOKEN",
			map[string]string{"WWW-Authenticate": `Bearer realm="tasklane"`}},
		"of another user": {&auth.RefusalError{Reason: auth.OtherUser}, 403, "another user", nil},
		"without keys": {&auth.RefusalError{Reason: auth.KeysMissing}, 503, "keys",
			map[string]string{"Retry-After": "5"}},
		"a large body":      {fmt.Errorf("read: %w", ErrTooLarge), 413, "larger", nil},
		"a strange body":    {ErrEncoding, 415, "gzip", nil},
		"a damaged body":    {ErrNotEncoded, 400, "damaged", nil},
		"a slow body":       {ErrTooSlow, 408, "16 KiB/s", nil},
		"a crowd of bodies": {ErrNoRoom, 503, "try again", map[string]string{"Retry-After": "1"}},
		"a body cut off":    {fmt.Errorf("%w: %w", errCutOff, io.ErrUnexpectedEOF), 400, "to its end", nil},
		"anything else":     {errors.New("secret: 1234"), 500, "in its log", nil},
	} {
		t.Run(name, func(t *testing.T) {
			recorder, bad := asked(t, answering(tt.err), "GET", "/x?")
			if bad == nil || recorder.Code != tt.status || bad.Status != tt.status || !strings.Contains(bad.Detail, tt.detail) ||
				bad.Instance != "/x" {
				t.Fatalf("%d %s", recorder.Code, recorder.Body)
			}
			if strings.Contains(recorder.Body.String(), "secret") {
				t.Errorf("it tells of itself: %s", recorder.Body)
			}
			for name, want := range tt.headers {
				if got := recorder.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if tt.err.Error() == "" {
				t.Error("the error has no text")
			}
		})
	}
}

func TestErrorsOfItsOwnAreLogged(t *testing.T) {
	for name, serve := range map[string]Handler{
		"returned": func(*gin.Context) error { return errors.New("disk on fire") },
		"panicked": func(*gin.Context) error { panic("disk on fire") },
	} {
		var log bytes.Buffer
		router := Router{Routes: []Route{{Path: "/x", Serve: serve}}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		recorder, bad := asked(t, router, "GET", "/x")
		if bad == nil || recorder.Code != 500 || strings.Contains(recorder.Body.String(), "fire") ||
			!strings.Contains(log.String(), "disk on fire") {
			t.Errorf("%s: %d %s, logged %s", name, recorder.Code, recorder.Body, log.String())
		}
	}
	aborted := Router{Routes: []Route{{Path: "/x", Serve: func(*gin.Context) error { panic(http.ErrAbortHandler) }}}}
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // it is that very value
			t.Errorf("a handler that aborts its connection: %v", cause)
		}
	}()
	_, _ = asked(t, aborted, "GET", "/x")
}

// An answer that has begun is not followed by a problem.
func TestAnswersThatHaveBegunStay(t *testing.T) {
	router := Router{Routes: []Route{{Path: "/x", Serve: func(c *gin.Context) error {
		must(t, Answer(c.Writer, http.StatusOK, map[string]int{"a": 1}))
		return errors.New("too late")
	}}}}
	if recorder, _ := asked(t, router, "GET", "/x"); recorder.Code != 200 || recorder.Body.String() != `{"a":1}` {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	cyclic := Router{Routes: []Route{{Path: "/x",
		Serve: func(c *gin.Context) error { return Answer(c.Writer, 200, func() {}) }}}}
	if recorder, bad := asked(t, cyclic, "GET", "/x"); recorder.Code != 500 || bad == nil {
		t.Errorf("what cannot be encoded: %d %s", recorder.Code, recorder.Body)
	}
}

func TestRoutes(t *testing.T) {
	said := func(c *gin.Context) error { return Answer(c.Writer, http.StatusOK, c.FullPath()) }
	router := Router{Help: "look elsewhere", Routes: []Route{
		{Path: "/read", Query: []string{"user_id"}, Serve: said},
		{Path: "/write", Methods: []string{"POST"}, Serve: said},
		{Path: "/slash", Slash: true, Serve: said},
		{Path: "/own", OwnQuery: true, Serve: said},
		{Path: "/guarded", Guard: func(*gin.Context) error { return &auth.RefusalError{Reason: auth.Missing} }, Serve: said},
		{Path: "/tasks/:id", Serve: said},
	}}
	var observed []string
	router.Observe = func(route, method string, status int, _ time.Duration) {
		observed = append(observed, fmt.Sprint(method, " ", route, " ", status))
	}
	for _, tt := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/read", 200, "/read"}, {"HEAD", "/read", 200, ""}, {"GET", "/read?user_id=a", 200, ""},
		{"GET", "/read?usr=a", 422, `Did you mean \"user_id\"`}, {"GET", "/read?user_id=a&user_id=b", 422, "more than once"},
		{"GET", "/read?a;b", 422, "%3B"}, {"HEAD", "/read?usr=a", 422, ""},
		{"POST", "/read", 405, "this path does not take POST; look elsewhere"}, {"GET", "/read/", 404, "look elsewhere"},
		{"POST", "/write", 200, "/write"}, {"GET", "/write", 405, ""}, {"HEAD", "/write", 405, ""},
		{"POST", "/write?a=1", 422, "takes none"},
		{"GET", "/slash", 200, ""}, {"GET", "/slash/", 200, ""}, {"GET", "/slash//", 404, ""},
		{"GET", "/own?a;b", 200, ""}, {"GET", "/guarded?a;b", 401, ""}, {"GET", "/tasks/1", 200, "/tasks/:id"},
		{"GET", "/TASKS/1", 404, ""},
	} {
		observed = nil
		recorder, _ := asked(t, router, tt.method, tt.target, "X-Forwarded-Prefix", "//evil.example")
		if recorder.Code != tt.status || !strings.Contains(recorder.Body.String(), tt.says) ||
			recorder.Header().Get("Location") != "" {
			t.Errorf("%s %s: %d %s", tt.method, tt.target, recorder.Code, recorder.Body)
		}
		if len(observed) != 1 || strings.Contains(observed[0], "/tasks/1") {
			t.Errorf("%s %s is observed as %q", tt.method, tt.target, observed)
		}
	}
	observed = nil
	_, _ = asked(t, router, "GET", "/nothing")
	if diff := cmp.Diff([]string{"GET other 404"}, observed); diff != "" {
		t.Error(diff)
	}
	if _, bad := asked(t, router, "GET", "/"+strings.Repeat("x", 600)); bad == nil || bad.Instance != "" {
		t.Errorf("a long path is repeated: %+v", bad)
	}
}

// The health paths are answered by any Host, in the form of the role, and a reason is
// a problem that says when to ask again.
func TestHealth(t *testing.T) {
	var reason error
	for _, tt := range []struct {
		health    Health
		ok, ready string
		mediaType string
		slashed   int
	}{
		{Health{}, "ok\n", "ready\n", "text/plain; charset=utf-8", 404},
		{Health{JSON: true, Slash: true}, `{"status":"ok"}`, `{"status":"ready"}`, "application/json", 200},
	} {
		tt.health.Ready = func() error { return reason }
		tt.health.Metrics = func(w io.Writer) { _, _ = io.WriteString(w, "up 1\n") }
		router := Router{Routes: tt.health.Routes()}
		for path, want := range map[string]string{"/healthz": tt.ok, "/readyz": tt.ready, "/metrics": "up 1\n"} {
			reason = nil
			recorder, _ := asked(t, router, "GET", path, "Host", "lb.example")
			if recorder.Code != 200 || recorder.Body.String() != want {
				t.Errorf("%s: %d %q", path, recorder.Code, recorder.Body)
			}
			if got := recorder.Header().Get("Content-Type"); path != "/metrics" && got != tt.mediaType {
				t.Errorf("%s: %s", path, got)
			}
			if got, _ := asked(t, router, "GET", path+"/"); got.Code != tt.slashed {
				t.Errorf("%s/: %d", path, got.Code)
			}
			if refused, _ := asked(t, router, "GET", path+"?verbose=1"); refused.Code != 422 {
				t.Errorf("%s?verbose=1: %d", path, refused.Code)
			}
			if !IsHealthPath(path) {
				t.Errorf("%s is no health path", path)
			}
		}
		reason = errors.New("no broker answers")
		recorder, bad := asked(t, router, "GET", "/readyz", "Host", "")
		if bad == nil || bad.Status != 503 || bad.Detail != "no broker answers" ||
			recorder.Header().Get("Retry-After") != "1" {
			t.Errorf("unready: %d %s", recorder.Code, recorder.Body)
		}
		reason = &Problem{Title: "starting", Status: 503, Detail: "reads"}
		if _, bad = asked(t, router, "GET", "/readyz"); bad == nil || bad.Title != "starting" {
			t.Errorf("a reason in the role's own words: %+v", bad)
		}
	}
}

func TestTokensInTheQueryAreRefused(t *testing.T) {
	for target, want := range map[string]auth.Reason{"/?token=x": auth.TokenInQuery, "/?access_token=": auth.TokenInQuery,
		"/?a=1": ""} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", target, nil)
		r.Header.Set("Authorization", "Bearer abc")
		token, refused := Token(r)
		if want == "" && (refused != nil || token != "abc") || want != "" &&
			(refused == nil || refused.Reason != want || token != "") {
			t.Errorf("%s: %q, %v", target, token, refused)
		}
	}
}

// Routes that read their query themselves read it as strictly.
func TestQuery(t *testing.T) {
	if said, bad := Query("user_id=ada&limit=3", "user_id", "limit"); bad != nil || said.Get("user_id") != "ada" {
		t.Errorf("%v, %v", said, bad)
	}
	for raw, field := range map[string]string{
		"user=ada": "user", "user_id=a&user_id=b": "user_id", "user_id=%zz": "", "user_id=a;limit=3": "",
	} {
		said, bad := Query(raw, "user_id", "limit")
		if said != nil || bad == nil || bad.Status != http.StatusUnprocessableEntity || bad.Detail == "" || field != "" &&
			bad.Field != field {
			t.Errorf("%s: %v, %+v", raw, said, bad)
		}
	}
}
