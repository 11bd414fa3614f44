package origin

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// What a listed page may do. Tokens travel in the Authorization header, so no
// answer ever allows credentials: cookies mean nothing here.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Traceparent"
	corsExposed = "Location, Retry-After"
	corsMaxAge  = "600" // seconds
)

// Middleware lets a request through to next if the policy allows its Host and
// Origin, and answers preflights itself. The others get problem+json: 421 for
// the Host, 403 for the Origin. A page that is not allowed is refused before
// the request does anything: hiding only the answer from it, as plain CORS
// does, would still let it submit.
func (p *Policy) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.AllowHost(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this Host is not served",
				"With auth off the server answers to localhost and loopback addresses only. "+
					"Use http://127.0.0.1 with its port, or turn auth on.")
			return
		}
		if len(r.Header.Values("Origin")) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		// Caches must not give one page the answer made for another.
		w.Header().Add("Vary", "Origin")
		if !p.AllowOrigin(r) {
			refuse(w, http.StatusForbidden, "this web page's origin is not allowed",
				"Add the page's origin, for example https://app.example.com, to CORS_ALLOWED_ORIGINS and restart.")
			return
		}
		p.allowPage(w, r)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowPage sets the CORS headers of an allowed origin.
func (p *Policy) allowPage(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if p.anyPage {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
}

// problem is an RFC 9457 answer.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, title, detail string) {
	body, err := json.Marshal(problem{Type: "about:blank", Title: title, Status: status, Detail: detail})
	if err != nil {
		http.Error(w, title, status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_, _ = w.Write(body)
}
