package httpedge

import "net/http"

// What a listed page may do. Tokens travel in the Authorization header, so no
// answer ever allows credentials: cookies mean nothing here.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, " +
		"Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Prefer, Traceparent"
	corsExposed = "Location, Preference-Applied, Retry-After"
	corsMaxAge  = "600" // seconds
)

// Middleware lets a request through to next if the policy allows its Host and
// Origin, and answers preflights itself. The others get problem+json: 421 for
// the Host, 403 for the Origin. A page that is not allowed is refused before
// the request does anything: hiding only the answer from it, as plain CORS
// does, would still let it submit.
func (p *Policy) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !forHealth(r) && !p.AllowHost(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this Host is not served",
				"With auth off the server answers to localhost and loopback addresses only. "+
					"Use http://127.0.0.1 with its port, or turn auth on.")
			return
		}
		if len(r.Header.Values("Origin")) == 0 {
			if !p.allowUnnamed(r) {
				refuse(w, http.StatusForbidden, "another site's page may not load this",
					"Load it with CORS, as fetch does and elements with the crossorigin attribute do, "+
						"from an origin that CORS_ALLOWED_ORIGINS lists.")
				return
			}
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

// allowUnnamed reports whether a request without an Origin may go on. Browsers
// leave Origin out where a page embeds something as an image, a script or a frame.
// They say where the page came from in Sec-Fetch-Site, which no page can set. A
// person who follows a link is let through, also to another site.
func (p *Policy) allowUnnamed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
	default: // the server's own page, the person at the browser, or no browser
		return true
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	followed := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return p.anyPage || reads && followed
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

func refuse(w http.ResponseWriter, status int, title, detail string) {
	(&Problem{Title: title, Status: status, Detail: detail}).Write(w)
}
