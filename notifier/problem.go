package notifier

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// problem is an RFC 9457 answer: why a request is refused and what to do.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// retryAfter is in seconds, 0 for no such header.
	retryAfter int
	// challenge is the WWW-Authenticate header, "" for none.
	challenge string
}

func badRequest(detail string) *problem {
	return &problem{Title: "the request is not valid", Status: http.StatusBadRequest, Detail: detail}
}

func unavailable(detail string) *problem {
	return &problem{Title: "not available now", Status: http.StatusServiceUnavailable, Detail: detail, retryAfter: 1}
}

func (p *problem) write(w http.ResponseWriter) {
	p.Type = "about:blank"
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody else to tell.
	_, _ = w.Write(body)
}
