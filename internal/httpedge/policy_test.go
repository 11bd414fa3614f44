package httpedge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newPolicy(t *testing.T, cfg PolicyConfig) *Policy {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:8080"
	}
	p, err := NewPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestListenAddress(t *testing.T) {
	tests := []struct {
		listen         string
		insecure, auth bool
		exposed        bool
	}{
		{listen: "127.0.0.1:8080"},
		{listen: "127.8.9.1:0"},
		{listen: "localhost:8080"},
		{listen: "[::1]:8080"},
		{listen: ":8080", exposed: true},
		{listen: "0.0.0.0:8080", exposed: true},
		{listen: "[::]:8080", exposed: true},
		{listen: "192.168.1.5:8080", exposed: true},
		{listen: "example.com:8080", exposed: true},
		{listen: "localhost.example.com:80", exposed: true},
		{listen: "0.0.0.0:8080", insecure: true},
		{listen: "0.0.0.0:8080", auth: true},
	}
	for _, tt := range tests {
		_, err := NewPolicy(PolicyConfig{Listen: tt.listen, Insecure: tt.insecure, Auth: tt.auth})
		if errors.Is(err, ErrExposed) != tt.exposed || !tt.exposed && err != nil {
			t.Errorf("New(%q, insecure %v, auth %v): %v; want exposed %v", tt.listen, tt.insecure, tt.auth, err, tt.exposed)
		}
		if tt.exposed && !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("the error does not say what to do: %v", err)
		}
	}
	for _, bad := range []string{"", "8080", "127.0.0.1", "::1:80"} {
		if _, err := NewPolicy(PolicyConfig{Listen: bad}); err == nil || errors.Is(err, ErrExposed) {
			t.Errorf("New(%q): %v; want an error about its form", bad, err)
		}
	}
}

func TestOriginListRefused(t *testing.T) {
	tests := map[string]string{
		"example.com":                     "want scheme://host",
		"https://":                        "want scheme://host",
		"null":                            "want scheme://host",
		"https://user@example.com":        "want scheme://host",
		"https://example.com:port":        "want scheme://host",
		"https://example.com/":            "third slash",
		"https://example.com/app":         "third slash",
		"https://example.com?x":           "third slash",
		"https://example.com#":            "third slash",
		"https://*.example.com":           "patterns",
		"https://ok.example,**":           "patterns",
		"https://ok.example, ftp//bad.no": "want scheme://host",
		"mailto:someone":                  "want scheme://host",
		"https://a b.example":             "want scheme://host",
		"https://[::1":                    "want scheme://host",
	}
	for list, says := range tests {
		_, err := NewPolicy(PolicyConfig{Listen: "127.0.0.1:1", AllowedOrigins: list})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "CORS_ALLOWED_ORIGINS") {
			t.Errorf("list %q: %v; want an error that says %q", list, err, says)
		}
	}
	for _, fine := range []string{"", " , ,", "*", "https://a.example, http://b.example:8080 ,", "https://[::1]:3000"} {
		if _, err := NewPolicy(PolicyConfig{Listen: "127.0.0.1:1", AllowedOrigins: fine}); err != nil {
			t.Errorf("list %q: %v", fine, err)
		}
	}
}

// TestEveryPageIsWarnedOf where pages need not prove who they are.
func TestEveryPageIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		config PolicyConfig
		warns  bool
	}{
		{PolicyConfig{AllowedOrigins: "https://a.example, *"}, true},
		{PolicyConfig{AllowedOrigins: "*", Auth: true}, false},
		{PolicyConfig{AllowedOrigins: "https://a.example"}, false},
		{PolicyConfig{}, false},
	} {
		if got := newPolicy(t, c.config).Warning(); (got != "") != c.warns {
			t.Errorf("%+v: warning %q", c.config, got)
		}
	}
}

func TestHost(t *testing.T) {
	loopback := newPolicy(t, PolicyConfig{})
	open := newPolicy(t, PolicyConfig{Listen: "0.0.0.0:80", Insecure: true, AllowedOrigins: "https://tasks.example.com"})
	star := newPolicy(t, PolicyConfig{Listen: "0.0.0.0:80", Insecure: true, AllowedOrigins: "*"})
	auth := newPolicy(t, PolicyConfig{Listen: "0.0.0.0:80", Auth: true})
	tests := []struct {
		host                  string
		loopback, open, stars bool
	}{
		{"localhost", true, true, true},
		{"LocalHost:8080", true, true, true},
		{"localhost.:8080", true, true, true},
		{"127.0.0.1", true, true, true},
		{"127.0.0.1:1", true, true, true},
		{"127.200.3.4:65535", true, true, true},
		{"[::1]", true, true, true},
		{"[::1]:8080", true, true, true},
		{"[::ffff:127.0.0.1]:8080", true, true, true},
		{"192.168.1.5:80", false, true, true},
		{"[fe80::1]:80", false, true, true},
		{"notifier:8000", false, true, true},
		{"tasks.example.com", false, true, true},
		{"evil.example", false, false, true},
		{"127.0.0.1.evil.example:8080", false, false, true},
		{"localhost.evil.example", false, false, true},
		{"", false, false, false},
		{":80", false, false, false},
		{"localhost:", false, false, false},
		{"localhost:80:80", false, false, false},
		{"localhost:8o", false, false, false},
		{"[localhost]", false, false, false},
		{"[::1", false, false, false},
		{"[::1]x", false, false, false},
		{"[::1]80", false, false, false},
		{"127.0.0.1@evil.example", false, false, true},
	}
	for _, tt := range tests {
		got := [3]bool{loopback.AllowHost(tt.host), open.AllowHost(tt.host), star.AllowHost(tt.host)}
		if want := [3]bool{tt.loopback, tt.open, tt.stars}; got != want {
			t.Errorf("host %q: loopback, insecure, insecure with * = %v, want %v", tt.host, got, want)
		}
		if !auth.AllowHost(tt.host) {
			t.Errorf("host %q refused with auth on", tt.host)
		}
	}
}

func TestOrigin(t *testing.T) {
	listed := newPolicy(t, PolicyConfig{AllowedOrigins: "https://App.Example.com, http://dev.example:3000"})
	star := newPolicy(t, PolicyConfig{AllowedOrigins: "*"})
	tests := []struct {
		host, origin string
		want         bool
	}{
		{"localhost:8080", "http://localhost:8080", true},
		{"localhost", "http://localhost", true},
		{"localhost:80", "http://localhost", true},
		{"localhost:443", "https://localhost", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"localhost:8080", "http://127.0.0.1:8080", false},
		{"localhost:8080", "http://localhost:8081", false},
		{"localhost:8080", "http://localhost", false},
		{"localhost:8080", "https://app.example.com", true},
		{"localhost:8080", "https://app.example.com:443", true},
		{"localhost:8080", "http://app.example.com", false},
		{"localhost:8080", "https://app.example.com.evil.example", false},
		{"localhost:8080", "http://dev.example:3000", true},
		{"localhost:8080", "http://dev.example", false},
		{"localhost:8080", "null", false},
		{"localhost:8080", "", false},
		{"localhost:8080", "http://localhost:8080/", false},
		{"bad:host:80", "http://bad", false},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.Host = tt.host
		r.Header["Origin"] = []string{tt.origin}
		if got := listed.AllowOrigin(r); got != tt.want {
			t.Errorf("origin %q at host %q: %v, want %v", tt.origin, tt.host, got, tt.want)
		}
		if !star.AllowOrigin(r) {
			t.Errorf("origin %q refused although * is listed", tt.origin)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if !listed.AllowOrigin(r) {
		t.Error("a request without an Origin header was refused")
	}
	r.Header["Origin"] = []string{"https://app.example.com", "https://app.example.com"}
	if listed.AllowOrigin(r) || star.AllowOrigin(r) {
		t.Error("a request with two Origin headers was let through")
	}
}

// serve sends one request through a policy and reports whether it reached the
// server behind.
func serve(p *Policy, method, host string, headers map[string]string) (*http.Response, bool) {
	reached := false
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
	r := httptest.NewRequest(method, "/v1/tasks", nil)
	r.Host = host
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.Middleware(next).ServeHTTP(w, r)
	return w.Result(), reached
}

func TestMiddlewareHost(t *testing.T) {
	p := newPolicy(t, PolicyConfig{})
	res, reached := serve(p, http.MethodPost, "evil.example", nil)
	if reached || res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a strange Host got %d, reached the server: %v", res.StatusCode, reached)
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if _, reached := serve(p, http.MethodPost, "localhost:9", nil); !reached {
		t.Error("localhost was refused")
	}
}

func TestMiddlewareOrigin(t *testing.T) {
	p := newPolicy(t, PolicyConfig{AllowedOrigins: "https://app.example.com"})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
		res, reached := serve(p, method, "localhost:80", map[string]string{"Origin": "https://evil.example"})
		if reached || res.StatusCode != http.StatusForbidden || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s by a strange page: %d, reached %v, headers %v", method, res.StatusCode, reached, res.Header)
		}
	}
	res, reached := serve(p, http.MethodPost, "localhost:80", map[string]string{"Origin": "https://app.example.com"})
	if !reached || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		res.Header.Get("Vary") != "Origin" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("a listed page: reached %v, headers %v", reached, res.Header)
	}
}

func TestMiddlewarePreflight(t *testing.T) {
	p := newPolicy(t, PolicyConfig{AllowedOrigins: "https://app.example.com"})
	res, reached := serve(p, http.MethodOptions, "localhost:80", map[string]string{
		"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
		"Access-Control-Request-Headers": "idempotency-key", "Access-Control-Request-Private-Network": "true",
	})
	if reached || res.StatusCode != http.StatusNoContent {
		t.Errorf("preflight: %d, reached %v", res.StatusCode, reached)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Methods": "POST",
		"Access-Control-Allow-Headers": "Idempotency-Key", "Access-Control-Max-Age": "600",
		"Access-Control-Allow-Private-Network": "true",
	} {
		if got := res.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", name, got, want)
		}
	}
	if _, reached := serve(p, http.MethodOptions, "localhost:80",
		map[string]string{"Origin": "https://app.example.com"}); !reached {
		t.Error("an OPTIONS that is no preflight did not reach the server")
	}
	star := newPolicy(t, PolicyConfig{AllowedOrigins: "*"})
	res, _ = serve(star, http.MethodGet, "localhost:80", map[string]string{"Origin": "https://any.example"})
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("with * listed: %q", got)
	}
}

func FuzzHostAndOrigin(f *testing.F) {
	f.Add("localhost:80", "http://localhost")
	f.Add("[::1]:80", "null")
	f.Add("", "://")
	p, err := NewPolicy(PolicyConfig{Listen: "127.0.0.1:80", AllowedOrigins: "https://a.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, host, from string) {
		if p.AllowHost(host) && !strings.Contains(strings.ToLower(host), "localhost") &&
			!strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "[") {
			t.Errorf("host %q was let in", host)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = "localhost:80"
		r.Header["Origin"] = []string{from}
		if p.AllowOrigin(r) && !strings.Contains(strings.ToLower(from), "localhost") &&
			!strings.Contains(strings.ToLower(from), "a.example") {
			t.Errorf("origin %q was let in", from)
		}
	})
}

// What browsers load into a page without saying its origin is refused where it is
// another site's; what a person opens is not.
func TestEmbeddedByAnotherSite(t *testing.T) {
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	tests := []struct {
		method, site, mode, dest string
		want                     int
	}{
		{"GET", "", "", "", 418}, // no browser, or an old one
		{"GET", "none", "navigate", "document", 418},
		{"GET", "same-origin", "no-cors", "image", 418},
		{"GET", "cross-site", "navigate", "document", 418},
		{"HEAD", "same-site", "navigate", "document", 418},
		{"GET", "cross-site", "navigate", "iframe", 403},
		{"GET", "cross-site", "navigate", "", 403},
		{"GET", "cross-site", "no-cors", "image", 403},
		{"GET", "cross-site", "no-cors", "script", 403},
		{"GET", "same-site", "no-cors", "empty", 403},
		{"POST", "cross-site", "navigate", "document", 403},
		{"POST", "same-site", "no-cors", "empty", 403},
	}
	for _, tt := range tests {
		for _, pages := range []string{"", "https://app.example.com", "*"} {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "http://127.0.0.1:8080/v1/tasks", nil)
			for name, value := range map[string]string{"Sec-Fetch-Site": tt.site, "Sec-Fetch-Mode": tt.mode,
				"Sec-Fetch-Dest": tt.dest} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			rec := httptest.NewRecorder()
			newPolicy(t, PolicyConfig{AllowedOrigins: pages}).Middleware(served).ServeHTTP(rec, r)
			want := tt.want
			if pages == "*" {
				want = 418
			}
			if rec.Code != want {
				t.Errorf("%+v, pages %q: %d", tt, pages, rec.Code)
			}
		}
	}
}

// Load balancers ask an address for its health, without a Host or with one of their own.
func TestHealthIsAnsweredToAnyHost(t *testing.T) {
	served := newPolicy(t, PolicyConfig{}).Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/healthz", 200}, {"HEAD", "/healthz", 200}, {"GET", "/readyz", 200}, {"GET", "/metrics", 200},
		{"POST", "/healthz", 421}, {"GET", "/healthz/", 421}, {"GET", "/", 421}, {"GET", "/v1/healthz", 421},
	} {
		for _, host := range []string{"", "lb.example", "10.1.2.3:8080", "["} {
			r := httptest.NewRequest(tt.method, tt.path, nil)
			r.Host = host
			got := httptest.NewRecorder()
			served.ServeHTTP(got, r)
			if got.Code != tt.want {
				t.Errorf("%s %s with the Host %q: %d, want %d", tt.method, tt.path, host, got.Code, tt.want)
			}
		}
	}
}
