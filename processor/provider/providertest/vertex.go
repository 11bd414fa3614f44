package providertest

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// vertex serves a model's calls: generateContent, streamGenerateContent, predict, embedContent.
func (s *Server) vertex(w http.ResponseWriter, r *http.Request) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	c, err := s.receive(w, r, model)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	speak := func(a Answer) protocol { return &gemini{a: a, model: model} }
	switch method {
	case "generateContent":
	case "streamGenerateContent":
		s.mu.Lock()
		c.stream, c.record.Stream = true, true
		s.mu.Unlock()
	case "predict":
		speak = predictOf(c)
	case "embedContent":
		speak = embedContentOf(c)
	default:
		http.NotFound(w, r)
		s.end(c, "answered")
		return
	}
	c.answer(s.next(model, c.record.Key), speak)
}

// gemini speaks Vertex AI's generateContent.
type gemini struct {
	a     Answer
	model string
}

func (p *gemini) candidate(parts []any, finish string) map[string]any {
	candidate := map[string]any{"index": 0, "content": map[string]any{"role": "model", "parts": parts}}
	if finish != "" {
		candidate["finishReason"] = finish
	}
	return map[string]any{"candidates": []any{candidate}, "modelVersion": p.model, "responseId": "fake-response",
		"createTime": "2026-01-01T00:00:00Z"}
}

func (p *gemini) head() []byte {
	var b bytes.Buffer
	for _, word := range words(p.a.Thoughts) {
		b.Write(sse("", p.candidate([]any{map[string]any{"text": word, "thought": true}}, "")))
	}
	return b.Bytes()
}

func (p *gemini) piece(_ int, text string) []byte {
	return sse("", p.candidate([]any{map[string]any{"text": text}}, ""))
}

func (p *gemini) tail() []byte {
	parts := []any{map[string]any{"text": ""}}
	if p.a.Tool != nil {
		parts = []any{p.toolPart()}
	}
	return sse("", p.withUsage(p.candidate(parts, p.finish())))
}

func (p *gemini) toolPart() map[string]any {
	return map[string]any{"functionCall": map[string]any{"id": p.a.Tool.ID, "name": p.a.Tool.Name,
		"args": jsontext.Value(p.a.Tool.Arguments)}}
}

func (p *gemini) finish() string {
	switch p.a.Finish {
	case Length:
		return "MAX_TOKENS"
	case Refusal:
		return "SAFETY"
	}
	return "STOP"
}

func (p *gemini) whole() any {
	var parts []any
	if p.a.Thoughts != "" {
		parts = append(parts, map[string]any{"text": p.a.Thoughts, "thought": true})
	}
	if p.a.Text != "" {
		parts = append(parts, map[string]any{"text": p.a.Text})
	}
	if p.a.Tool != nil {
		parts = append(parts, p.toolPart())
	}
	for _, image := range p.a.Images {
		parts = append(parts, map[string]any{"inlineData": map[string]any{"mimeType": "image/png", "data": image}})
	}
	return p.withUsage(p.candidate(parts, p.finish()))
}

// withUsage counts thoughts beside candidates, and cached content inside the prompt, as Vertex does.
func (p *gemini) withUsage(object map[string]any) map[string]any {
	u := p.a.Usage
	if !p.a.NoUsage {
		object["usageMetadata"] = map[string]any{
			"promptTokenCount": u.Input, "cachedContentTokenCount": u.Cached, "candidatesTokenCount": u.Output - u.Reasoning,
			"thoughtsTokenCount": u.Reasoning, "totalTokenCount": u.Input + u.Output,
		}
	}
	return object
}

func (p *gemini) failure(status int, code, message string) any {
	return googleFailure(status, code, message)
}

func (p *gemini) failed(status int, code, message string) []byte {
	return sse("", googleFailure(status, code, message))
}

func googleFailure(status int, code, message string) any {
	if code == "" {
		code = map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
			429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}[status]
	}
	return map[string]any{"error": map[string]any{"code": status, "message": message, "status": code}}
}

// predictOf answers for the models of embeddings, whose instances have content, and of images.
func predictOf(c *call) func(Answer) protocol {
	instances, _ := c.request["instances"].([]any)
	return func(a Answer) protocol {
		return document{fail: googleFailure, body: func() any {
			var predictions []any
			for i, instance := range instances {
				fields, _ := instance.(map[string]any)
				text, embeds := fields["content"].(string)
				if !embeds {
					for _, image := range a.images() {
						predictions = append(predictions, map[string]any{"mimeType": "image/png", "bytesBase64Encoded": image})
					}
					continue
				}
				predictions = append(predictions, map[string]any{"embeddings": map[string]any{"values": vectorOf(text, i),
					"statistics": map[string]any{"token_count": len(words(text)), "truncated": false}}})
			}
			return map[string]any{"predictions": predictions}
		}}
	}
}

func embedContentOf(c *call) func(Answer) protocol {
	return func(a Answer) protocol {
		return document{fail: googleFailure, body: func() any {
			return map[string]any{"embedding": map[string]any{"values": vectorOf(c.said, 0)},
				"usageMetadata": map[string]any{"promptTokenCount": a.Usage.Input}}
		}}
	}
}
