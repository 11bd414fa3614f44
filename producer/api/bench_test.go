package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/auth"
)

// BenchmarkReadSubmission is what is done with a body of 2 KiB before anything is sent.
func BenchmarkReadSubmission(b *testing.B) {
	a := New(Config{Lanes: []string{"fast", "heavy"}})
	body := []byte(`{"input_data":{"text":"` + strings.Repeat("lorem ipsum ",
		170) + `"},"context":{"language":"en"},"labels":{"team":"red"},"priority":7,` + smallTask[1:])
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := a.readSubmission(body, http.Header{}, auth.Anyone()); err != nil {
			b.Fatal(err)
		}
	}
}
