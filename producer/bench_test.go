package producer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkSubmit is a submission from the request to the broker's acknowledgement, the
// embedded broker's own work included.
func BenchmarkSubmit(b *testing.B) {
	w := newWorld(b)
	handler := w.Role.Handler()
	body := task(`"input_data":{"text":"` + strings.Repeat("lorem ipsum ",
		170) + `"},"context":{"language":"en"},"labels":{"team":"red"},"priority":7`)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/tasks", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusAccepted {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
