package clienttest

import "net/http"

// routes is what the server speaks. Everything else is refused as the API does it.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range []struct {
		method, path string
		serve        http.HandlerFunc
	}{
		{http.MethodPost, "/v1/tasks", s.submit},
		{http.MethodGet, "/v1/tasks/{id}", s.getTask},
		{http.MethodGet, "/v1/tasks/{id}/result", s.getResult},
		{http.MethodGet, "/v1/tasks/{id}/events", s.getEvents},
		{http.MethodPost, "/v1/tasks/{id}/cancel", s.cancelTask},
		{http.MethodGet, "/ws", s.watch},
	} {
		mux.HandleFunc(r.method+" "+r.path, r.serve)
		mux.HandleFunc(r.path, func(w http.ResponseWriter, asked *http.Request) {
			w.Header().Set("Allow", r.method)
			refuse(w, problem{Status: http.StatusMethodNotAllowed, Detail: "this path does not take " + asked.Method + " here; " + seeDoc})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, problem{Status: http.StatusNotFound, Detail: "there is nothing here; " + seeDoc})
	})
	return mux
}

const seeDoc = "the doc of package clienttest says what the test's server speaks"
