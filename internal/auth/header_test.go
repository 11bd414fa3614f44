package auth

import (
	"net/http"
	"testing"
)

func TestFromHeader(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		token  string
		bad    bool
	}{
		"none":                     {nil, "", false},
		"bearer":                   {http.Header{"Authorization": {"Bearer a.b.c"}}, "a.b.c", false},
		"any case, more spaces":    {http.Header{"Authorization": {" bEARER   a.b.c "}}, "a.b.c", false},
		"bearer without token":     {http.Header{"Authorization": {"Bearer"}}, "", false},
		"basic":                    {http.Header{"Authorization": {"Basic YTpi"}}, "", true},
		"empty":                    {http.Header{"Authorization": {""}}, "", true},
		"twice":                    {http.Header{"Authorization": {"Bearer a.b.c", "Bearer d.e.f"}}, "", true},
		"twice the same":           {http.Header{"Authorization": {"Bearer a.b.c", "Bearer a.b.c"}}, "", true},
		"bearer and basic":         {http.Header{"Authorization": {"Bearer a.b.c", "Basic YTpi"}}, "", true},
		"subprotocol":              {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1, bearer.a.b.c"}}, "a.b.c", false},
		"subprotocols on lines":    {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1", "bearer.a.b.c"}}, "a.b.c", false},
		"other subprotocols":       {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1,bearer"}}, "", false},
		"two subprotocols":         {http.Header{"Sec-Websocket-Protocol": {"bearer.a,bearer.b"}}, "", true},
		"header and subprotocol":   {http.Header{"Authorization": {"Bearer a.b.c"}, "Sec-Websocket-Protocol": {"bearer.a.b.c"}}, "", true},
		"a cookie is not a token":  {http.Header{"Cookie": {"token=a.b.c"}}, "", false},
		"other headers are others": {http.Header{"Proxy-Authorization": {"Bearer a.b.c"}, "X-Forwarded-User": {"alice"}}, "", false},
	} {
		token, refused := FromHeader(c.header)
		if token != c.token || (refused != nil) != c.bad || refused != nil && refused.Reason != Malformed {
			t.Errorf("%s: %q, %v", name, token, refused)
		}
	}
}
