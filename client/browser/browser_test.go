package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(tag string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/client.js", nil)
	request.Header.Set("If-None-Match", tag)
	answer := httptest.NewRecorder()
	Handler().ServeHTTP(answer, request)
	return answer
}

func TestHandlerServesTheModule(t *testing.T) {
	first := get("")
	if first.Code != http.StatusOK || !strings.HasPrefix(first.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("answer %d, %v", first.Code, first.Header())
	}
	if !strings.Contains(first.Body.String(), "export function connect(") {
		t.Error("the module has no connect")
	}
	if again := get(first.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: %d with %d bytes", again.Code, again.Body.Len())
	}
}
