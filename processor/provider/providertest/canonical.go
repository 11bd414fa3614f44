package providertest

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical is a document in the one form in which documents that say the same are equal.
func Canonical(t testing.TB, document string) string {
	t.Helper()
	v := jsontext.Value(document)
	if err := v.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	_ = v.Indent()
	return string(v)
}
