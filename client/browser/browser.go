// Package browser holds the client for browsers: tasklane.js, one ES module
// without a build or a dependency, whose own comments document it, and its types,
// tasklane.d.ts, which are made of it. Notifiers serve both.
package browser

import (
	"crypto/sha256"
	_ "embed" // the files beside this one
	"fmt"
	"net/http"
	"strings"
	"time"
)

var (
	//go:embed tasklane.js
	module string
	//go:embed tasklane.d.ts
	declaration string
)

// Module serves the module.
func Module() http.Handler { return serve(module, "text/javascript; charset=utf-8") }

// Declaration serves the module's types, for TypeScript.
func Declaration() http.Handler { return serve(declaration, "text/plain; charset=utf-8") }

// serve answers with a text. Pages should ask each time whether theirs is still the
// newest, as they have to fit the notifier.
func serve(content, mediaType string) http.Handler {
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(content)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
}
