package auth

import (
	"net/http"
	"testing"
)

func TestFromHeader(t *testing.T) {
	for name, c := range map[string]struct {
		header  http.Header
		token   string
		refused Reason
	}{
		"none":                  {nil, "", ""},
		"bearer":                {http.Header{"Authorization": {"Bearer a.b.c"}}, "a.b.c", ""},
		"any case, more spaces": {http.Header{"Authorization": {" bEARER   a.b.c "}}, "a.b.c", ""},
		"bearer without token":  {http.Header{"Authorization": {"Bearer"}}, "", ""},
		"basic":                 {http.Header{"Authorization": {"Basic YTpi"}}, "", Scheme},
		"empty":                 {http.Header{"Authorization": {""}}, "", Scheme},
		"twice":                 {http.Header{"Authorization": {"Bearer a.b.c", "Bearer d.e.f"}}, "", Malformed},
		"twice the same":        {http.Header{"Authorization": {"Bearer a.b.c", "Bearer a.b.c"}}, "", Malformed},
		"bearer and basic":      {http.Header{"Authorization": {"Bearer a.b.c", "Basic YTpi"}}, "", Scheme},
		"subprotocol":           {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1, bearer.a.b.c"}}, "a.b.c", ""},
		"subprotocols on lines": {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1", "bearer.a.b.c"}}, "a.b.c", ""},
		"other subprotocols":    {http.Header{"Sec-Websocket-Protocol": {"tasklane.v1,bearer"}}, "", ""},
		"two subprotocols":      {http.Header{"Sec-Websocket-Protocol": {"bearer.a,bearer.b"}}, "", Malformed},
		"header and subprotocol": {http.Header{"Authorization": {"Bearer a.b.c"},
			"Sec-Websocket-Protocol": {"bearer.a.b.c"}}, "", Malformed},
		"a cookie is not a token": {http.Header{"Cookie": {"token=a.b.c"}}, "", ""},
		"other headers are others": {http.Header{"Proxy-Authorization": {"Bearer a.b.c"}, "X-Forwarded-User": {"alice"}}, "",
			""},
	} {
		token, refused := FromHeader(c.header)
		if token != c.token || (refused != nil) != (c.refused != "") || refused != nil && refused.Reason != c.refused {
			t.Errorf("%s: %q, %v", name, token, refused)
		}
	}
}
