package providertest

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// messages speaks Anthropic's Messages API.
type messages struct {
	a     Answer
	model string
}

func messagesOf(c *call) func(Answer) protocol {
	return func(a Answer) protocol { return &messages{a: a, model: c.model} }
}

func (p *messages) event(kind string, more map[string]any) []byte {
	more["type"] = kind
	return sse(kind, more)
}

func (p *messages) object(content []any, stop any, usage map[string]any) map[string]any {
	return map[string]any{"id": "msg_fake", "type": "message", "role": "assistant", "model": p.model, "content": content,
		"stop_reason": stop, "stop_sequence": nil, "usage": usage}
}

// inputUsage leaves out what was read from and written to the cache, as Anthropic does.
func (p *messages) inputUsage(output int64) map[string]any {
	u := p.a.Usage
	if p.a.NoUsage {
		return map[string]any{"input_tokens": 0, "output_tokens": 0}
	}
	return map[string]any{
		"input_tokens":            u.Input - u.Cached - u.CacheWrite5m - u.CacheWrite1h,
		"cache_read_input_tokens": u.Cached, "cache_creation_input_tokens": u.CacheWrite5m + u.CacheWrite1h,
		"cache_creation": map[string]any{
			"ephemeral_5m_input_tokens": u.CacheWrite5m, "ephemeral_1h_input_tokens": u.CacheWrite1h},
		"output_tokens": output, "service_tier": "standard",
	}
}

func (p *messages) block(index int, start map[string]any, deltas ...map[string]any) []byte {
	var b bytes.Buffer
	b.Write(p.event("content_block_start", map[string]any{"index": index, "content_block": start}))
	for _, delta := range deltas {
		b.Write(p.event("content_block_delta", map[string]any{"index": index, "delta": delta}))
	}
	b.Write(p.event("content_block_stop", map[string]any{"index": index}))
	return b.Bytes()
}

// first is the index of the first block of text.
func (p *messages) first() int {
	if p.a.Thoughts != "" {
		return 1
	}
	return 0
}

func (p *messages) head() []byte {
	var b bytes.Buffer
	b.Write(p.event("message_start", map[string]any{"message": p.object([]any{}, nil, p.inputUsage(1))}))
	if p.a.Thoughts != "" {
		var deltas []map[string]any
		for _, word := range words(p.a.Thoughts) {
			deltas = append(deltas, map[string]any{"type": "thinking_delta", "thinking": word})
		}
		deltas = append(deltas, map[string]any{"type": "signature_delta", "signature": "c2lnbmVk"})
		b.Write(p.block(0, map[string]any{"type": "thinking", "thinking": "", "signature": ""}, deltas...))
	}
	b.Write(p.event("ping", map[string]any{}))
	if len(p.a.Pieces) > 0 {
		b.Write(p.event("content_block_start",
			map[string]any{"index": p.first(), "content_block": map[string]any{"type": "text", "text": ""}}))
	}
	return b.Bytes()
}

func (p *messages) piece(_ int, text string) []byte {
	return p.event("content_block_delta",
		map[string]any{"index": p.first(), "delta": map[string]any{"type": "text_delta", "text": text}})
}

func (p *messages) tail() []byte {
	var b bytes.Buffer
	next := p.first()
	if len(p.a.Pieces) > 0 {
		b.Write(p.event("content_block_stop", map[string]any{"index": next}))
		next++
	}
	if t := p.a.Tool; t != nil {
		var deltas []map[string]any
		for _, part := range words(t.Arguments) {
			deltas = append(deltas, map[string]any{"type": "input_json_delta", "partial_json": part})
		}
		start := map[string]any{"type": "tool_use", "id": t.ID, "name": t.Name, "input": map[string]any{}}
		b.Write(p.block(next, start, deltas...))
	}
	usage := map[string]any{"output_tokens": p.a.Usage.Output}
	if p.a.NoUsage {
		usage = map[string]any{"output_tokens": 0}
	}
	b.Write(p.event("message_delta",
		map[string]any{"delta": map[string]any{"stop_reason": p.stop(), "stop_sequence": nil}, "usage": usage}))
	b.Write(p.event("message_stop", map[string]any{}))
	return b.Bytes()
}

func (p *messages) stop() string {
	switch p.a.Finish {
	case Length:
		return "max_tokens"
	case Refusal:
		return "refusal"
	case Tool:
		return "tool_use"
	}
	return "end_turn"
}

func (p *messages) whole() any {
	var content []any
	if p.a.Thoughts != "" {
		content = append(content, map[string]any{"type": "thinking", "thinking": p.a.Thoughts, "signature": "c2lnbmVk"})
	}
	if len(p.a.Pieces) > 0 {
		content = append(content, map[string]any{"type": "text", "text": p.a.Text})
	}
	if t := p.a.Tool; t != nil {
		content = append(content, map[string]any{"type": "tool_use", "id": t.ID, "name": t.Name,
			"input": jsontext.Value(t.Arguments)})
	}
	object := p.object(content, p.stop(), p.inputUsage(p.a.Usage.Output))
	if p.a.NoUsage {
		delete(object, "usage")
	}
	return object
}

func (p *messages) failure(status int, code, message string) any {
	kind := code
	if kind == "" {
		kind = map[int]string{400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
			404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}[status]
	}
	if kind == "" {
		kind = "api_error"
	}
	return map[string]any{"type": "error", "request_id": "req_fake",
		"error": map[string]any{"type": kind, "message": message}}
}

func (p *messages) failed(status int, code, message string) []byte {
	return sse("error", p.failure(status, code, message))
}
