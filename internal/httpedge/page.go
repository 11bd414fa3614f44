package httpedge

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// page is a web origin with everything spelled out that has several spellings:
// lower case, the default port filled in.
type page struct {
	scheme, host, port string
}

var (
	errForm    = errors.New("want scheme://host or scheme://host:port, for example https://app.example.com")
	errPath    = errors.New("an origin ends after the host and port: take off everything from the third slash on")
	errPattern = errors.New("patterns are not supported: list each origin, or write * alone for every page")
)

// parsePage reads an origin as browsers send it.
func parsePage(text string) (page, error) {
	if strings.Contains(text, "*") {
		return page{}, errPattern
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Opaque != "" {
		return page{}, errForm
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return page{}, errPath
	}
	host, ok := splitHost(u.Host)
	if !ok {
		return page{}, errForm
	}
	scheme := strings.ToLower(u.Scheme)
	port := u.Port()
	if port == "" {
		port = defaultPort(scheme)
	}
	return page{scheme: scheme, host: host, port: port}, nil
}

// serves reports whether the page came from the server that this Host header
// names. The scheme is not compared: behind a proxy that ends TLS the server
// does not know its own.
func (p page) serves(header string) bool {
	host, ok := splitHost(header)
	if !ok {
		return false
	}
	port := defaultPort(p.scheme)
	if _, given, err := net.SplitHostPort(header); err == nil {
		port = given
	}
	return host == p.host && port == p.port
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}
