package providertest

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

func (s *Server) route() {
	s.mux.HandleFunc("POST /v1/responses", s.speak(responsesOf))
	s.mux.HandleFunc("POST /v1/chat/completions", s.speak(chatOf))
	s.mux.HandleFunc("POST /v1/embeddings", s.speak(embeddingsOf))
	s.mux.HandleFunc("POST /v1/images/generations", s.speak(imagesOf))
	s.mux.HandleFunc("POST /v1/messages", s.speak(messagesOf))
	const model = "/projects/{project}/locations/{location}/publishers/google/models/{call}"
	s.mux.HandleFunc("POST /v1"+model, s.vertex)
	s.mux.HandleFunc("POST /v1beta1"+model, s.vertex)
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("GET /v1/models", s.models)

	s.mux.HandleFunc("POST /fake/script", s.takeScript)
	s.mux.HandleFunc("DELETE /fake/script", func(http.ResponseWriter, *http.Request) { s.reset() })
	s.mux.HandleFunc("POST /fake/release", s.takeWord(func(words map[string]string) { s.Release(words["gate"]) }))
	s.mux.HandleFunc("POST /fake/revoke", s.takeWord(func(words map[string]string) { s.Revoke(words["key"]) }))
	s.mux.HandleFunc("GET /fake/requests", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Requests()) })
}

// speak serves a path by a protocol.
func (s *Server) speak(of func(*call) func(Answer) protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.receive(w, r, "")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.answer(s.next(c.model, c.record.Key), of(c))
	}
}

func (s *Server) takeScript(w http.ResponseWriter, r *http.Request) {
	var script struct {
		Model   string   `json:"model"`
		Answers []Answer `json:"answers"`
	}
	if err := json.UnmarshalRead(r.Body, &script, json.RejectUnknownMembers(true)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.ScriptModel(script.Model, script.Answers...)
}

func (s *Server) takeWord(take func(map[string]string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		words := make(map[string]string)
		if err := json.UnmarshalRead(r.Body, &words); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		take(words)
	}
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"object": "list", "data": []any{
		map[string]any{"id": "fake-model", "object": "model", "created": fakeTime, "owned_by": "fake"},
	}})
}

// token is where a service account's key is exchanged for an access token.
func (s *Server) token(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"access_token": "fake-access-token", "expires_in": 3600, "token_type": "Bearer"})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.MarshalWrite(w, v, json.Deterministic(true)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
