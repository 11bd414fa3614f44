// Package browser holds the client for browsers: tasklane.js, one ES module
// without a build or a dependency, whose own comments document it. Notifiers
// serve it.
package browser

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the module is a file beside this one
	"fmt"
	"net/http"
	"time"
)

//go:embed tasklane.js
var module string

// Handler serves the module. Pages should ask each time whether theirs is still
// the newest, as they have to fit the notifier.
func Handler() http.Handler {
	content := []byte(module)
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
