package clienttest

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/query"
)

// route is one thing that the server serves, and what its address may say.
type route struct {
	method, path string
	serve        http.HandlerFunc
	query        []string
}

func (s *Server) table() []route {
	return []route{
		{http.MethodPost, "/v1/tasks", s.submit, nil},
		{http.MethodGet, "/v1/tasks/{id}", s.getTask, []string{"user_id", "cursor"}},
		{http.MethodGet, "/v1/tasks/{id}/result", s.getResult, []string{"user_id", "cursor", "wait"}},
		{http.MethodGet, "/v1/tasks/{id}/events", s.getEvents, []string{"user_id", "cursor", "after", "limit"}},
		{http.MethodPost, "/v1/tasks/{id}/cancel", s.cancelTask, []string{"user_id"}},
		{http.MethodGet, "/ws", s.watch, []string{"user_id", "task_id", "batch_id", "since", "ticket"}},
	}
}

// routes is what the server speaks. Everything else is refused as the API does it.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range s.table() {
		mux.HandleFunc(r.method+" "+r.path, s.strict(r))
		mux.HandleFunc(r.path, func(w http.ResponseWriter, asked *http.Request) {
			w.Header().Set("Allow", r.method)
			refuse(w, problem{Status: http.StatusMethodNotAllowed,
				Detail: "this path does not take " + asked.Method + " here; " + seeDoc})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, problem{Status: http.StatusNotFound, Detail: "there is nothing here; " + seeDoc})
	})
	return mux
}

const seeDoc = "the doc of package clienttest says what the test's server speaks"

// strict serves a route if the query is one that it knows, as the API does: malformed,
// repeated, unknown and empty parameters are refused.
func (s *Server) strict(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, asked *http.Request) {
		if bad := checkQuery(asked.URL.RawQuery, r.query); bad != nil {
			s.refuse(w, asked, *bad)
			return
		}
		r.serve(w, asked)
	}
}

func checkQuery(raw string, allowed []string) *problem {
	_, err := query.Parse(raw, allowed...)
	var invalid *query.InvalidError
	if errors.As(err, &invalid) {
		return &problem{Status: http.StatusUnprocessableEntity, Field: invalid.Field, Detail: invalid.Detail}
	}
	return nil
}

// refuse tells a client what is wrong. One that asks for a WebSocket sees nothing of an
// answer in HTTP, so it is told on the connection, as the notifier does.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p problem) {
	if !websocket.IsWebSocketUpgrade(r) {
		refuse(w, p)
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = ws.Close() }()
	const longest = 123 // bytes that a close frame has room for
	told := websocket.FormatCloseMessage(4000+p.Status, p.Detail[:min(len(p.Detail), longest)])
	_ = ws.WriteControl(websocket.CloseMessage, told, time.Now().Add(time.Second)) // the client may be gone
}
