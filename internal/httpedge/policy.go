package httpedge

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ErrExposed is the root of the error for an address that others can reach
// while auth is off.
var ErrExposed = errors.New("not a loopback address and auth is off")

// PolicyConfig is what a server knows about its edge when it starts.
type PolicyConfig struct {
	// Listen is the address the server binds, host:port.
	Listen string
	// AllowedOrigins is the value of CORS_ALLOWED_ORIGINS: a comma list of
	// exact origins such as https://app.example.com, or "*" for every page.
	AllowedOrigins string
	// Insecure allows an address that others can reach with auth off.
	Insecure bool
	// Auth says that every request proves its user.
	Auth bool
}

// Policy decides which requests get past the edge: which address a server may be
// bound to, which Host header it answers to, and which web pages may talk to it. It
// does not change after [NewPolicy] and is safe for concurrent use.
//
// With auth off every caller may act for every user, so three doors stay shut
// unless the operator opens them by name:
//
//   - binding an address that other machines can reach (PolicyConfig.Insecure opens it),
//   - a Host header that is not loopback, which is how a web page gets at a
//     local server by pointing its own DNS name there,
//   - a page of another origin (PolicyConfig.AllowedOrigins lists the ones that may).
//
// A request without an Origin header comes from no web page and passes: curl, an
// SDK, a health check. The policy says nothing about who the user is.
type Policy struct {
	auth     bool
	insecure bool
	anyPage  bool
	// pages are the listed origins in the form of parsePage, and hosts the
	// names in them.
	pages map[page]bool
	hosts map[string]bool
}

// NewPolicy checks the bind address and the list of origins. Its errors say what to
// change.
func NewPolicy(cfg PolicyConfig) (*Policy, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("read listen address %q: want host:port such as 127.0.0.1:8080", cfg.Listen)
	}
	if !cfg.Auth && !cfg.Insecure && !loopback(host) {
		return nil, fmt.Errorf("listen on %q: %w, so whoever reaches it could act for every user; "+
			"use 127.0.0.1, turn auth on, or accept it with --insecure", cfg.Listen, ErrExposed)
	}
	p := &Policy{auth: cfg.Auth, insecure: cfg.Insecure, pages: make(map[page]bool), hosts: make(map[string]bool)}
	for entry := range strings.SplitSeq(cfg.AllowedOrigins, ",") {
		if err := p.allow(strings.TrimSpace(entry)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Warning is what an operator should know of a policy that was asked for, "" if
// there is nothing.
func (p *Policy) Warning() string {
	if p.anyPage && !p.auth {
		return "CORS_ALLOWED_ORIGINS=* with auth off: every web page that somebody on this machine opens may act for every " +
			"user; list the origins, or turn auth on"
	}
	return ""
}

func (p *Policy) allow(entry string) error {
	switch entry {
	case "":
		return nil
	case "*":
		p.anyPage = true
		return nil
	}
	listed, err := parsePage(entry)
	if err != nil {
		return fmt.Errorf("read CORS_ALLOWED_ORIGINS entry %.100q: %w", entry, err)
	}
	p.pages[listed] = true
	p.hosts[listed.host] = true
	return nil
}

// AllowHost reports whether the server answers to this Host header.
//
// With auth on it answers to every name. With auth off only to loopback. Where
// the operator said --insecure there is no telling which name the machine goes
// by, so it also answers to what no DNS record of a stranger can be: an IP
// address, a name without a dot, and the hosts of the allowed origins.
func (p *Policy) AllowHost(header string) bool {
	if p.auth {
		return true
	}
	host, ok := splitHost(header)
	if !ok {
		return false
	}
	if loopback(host) {
		return true
	}
	if !p.insecure {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err == nil || p.anyPage || p.hosts[host] || !strings.Contains(host, ".")
}

// AllowOrigin reports whether the page that made this request may: there is no
// Origin header, or it is the server's own origin, or a listed one. It fits as
// a WebSocket upgrader's check. It trusts the Host header, so [Policy.Middleware]
// or [Policy.AllowHost] has to come first.
func (p *Policy) AllowOrigin(r *http.Request) bool {
	values := r.Header.Values("Origin")
	switch len(values) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	if p.anyPage {
		return true
	}
	from, err := parsePage(values[0])
	return err == nil && (p.pages[from] || from.serves(r.Host))
}

// loopback reports whether host, without port and brackets, stays on this
// machine. Names other than localhost are not looked up: what they resolve to
// can change after the answer.
func loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// splitHost takes the port and the brackets off a Host header, in lower case.
// False if it has not the form host, host:port, [v6] or [v6]:port.
func splitHost(header string) (string, bool) {
	host, rest := header, ""
	if strings.HasPrefix(header, "[") {
		end := strings.IndexByte(header, ']')
		if end < 0 {
			return "", false
		}
		host, rest = header[1:end], header[end+1:]
		if !strings.Contains(host, ":") {
			return "", false
		}
	} else if colon := strings.IndexByte(header, ':'); colon >= 0 {
		host, rest = header[:colon], header[colon:]
	}
	if rest != "" && (rest[0] != ':' || !validPort(rest[1:])) {
		return "", false
	}
	return strings.ToLower(host), host != ""
}

func validPort(port string) bool {
	if len(port) < 1 || len(port) > 5 {
		return false
	}
	return strings.Trim(port, "0123456789") == ""
}
