package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(served http.Handler, tag string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("If-None-Match", tag)
	answer := httptest.NewRecorder()
	served.ServeHTTP(answer, request)
	return answer
}

func TestFilesAreServed(t *testing.T) {
	for _, test := range []struct {
		name          string
		served        http.Handler
		mediaType, of string
	}{
		{"module", Module(), "text/javascript; charset=utf-8", "export function connect("},
		{"declaration", Declaration(), "text/plain; charset=utf-8", "export function connect(options?: Options): Watch;"},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := get(test.served, "")
			if first.Code != http.StatusOK || first.Header().Get("Content-Type") != test.mediaType {
				t.Errorf("answer %d, %v", first.Code, first.Header())
			}
			if !strings.Contains(first.Body.String(), test.of) {
				t.Errorf("there is no %s in it", test.of)
			}
			if again := get(test.served, first.Header().Get("ETag")); again.Code != http.StatusNotModified ||
				again.Body.Len() != 0 {
				t.Errorf("asked again: %d with %d bytes", again.Code, again.Body.Len())
			}
		})
	}
}
