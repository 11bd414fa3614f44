package providertest

import "bytes"

// chat speaks OpenAI's Chat Completions API.
type chat struct {
	a     Answer
	model string
	// withUsage: the request asked for usage in its stream.
	withUsage bool
}

func chatOf(c *call) func(Answer) protocol {
	options, _ := c.request["stream_options"].(map[string]any)
	return func(a Answer) protocol {
		return &chat{a: a, model: c.model, withUsage: options["include_usage"] == true}
	}
}

func (p *chat) chunk(delta map[string]any, finish any) []byte {
	chunk := p.object("chat.completion.chunk",
		[]any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}})
	if p.withUsage {
		chunk["usage"] = nil
	}
	return sse("", chunk)
}

func (p *chat) object(kind string, choices []any) map[string]any {
	return map[string]any{"id": "chatcmpl-fake", "object": kind, "created": fakeTime, "model": p.model, "choices": choices}
}

func (p *chat) head() []byte {
	var b bytes.Buffer
	b.Write(p.chunk(map[string]any{"role": "assistant", "content": ""}, nil))
	for _, word := range words(p.a.Thoughts) {
		b.Write(p.chunk(map[string]any{"reasoning_content": word}, nil))
	}
	return b.Bytes()
}

func (p *chat) piece(_ int, text string) []byte {
	name := "content"
	if p.a.Finish == Refusal {
		name = "refusal"
	}
	return p.chunk(map[string]any{name: text}, nil)
}

func (p *chat) tail() []byte {
	var b bytes.Buffer
	if t := p.a.Tool; t != nil {
		b.Write(p.chunk(map[string]any{"tool_calls": []any{map[string]any{"index": 0, "id": t.ID, "type": "function",
			"function": map[string]any{"name": t.Name, "arguments": ""}}}}, nil))
		for _, part := range words(t.Arguments) {
			b.Write(p.chunk(map[string]any{"tool_calls": []any{
				map[string]any{"index": 0, "function": map[string]any{"arguments": part}}}}, nil))
		}
	}
	b.Write(p.chunk(map[string]any{}, p.finish()))
	if p.withUsage && !p.a.NoUsage {
		last := p.object("chat.completion.chunk", []any{})
		last["usage"] = p.usage()
		b.Write(sse("", last))
	}
	b.WriteString("data: [DONE]\n\n")
	return b.Bytes()
}

func (p *chat) finish() string {
	switch p.a.Finish {
	case Length:
		return "length"
	case Tool:
		return "tool_calls"
	}
	return "stop"
}

func (p *chat) whole() any {
	message := map[string]any{"role": "assistant", "content": p.a.Text, "refusal": nil}
	if p.a.Finish == Refusal {
		message["content"], message["refusal"] = nil, p.a.Text
	}
	if p.a.Thoughts != "" {
		message["reasoning_content"] = p.a.Thoughts
	}
	if t := p.a.Tool; t != nil {
		message["tool_calls"] = []any{map[string]any{"id": t.ID, "type": "function",
			"function": map[string]any{"name": t.Name, "arguments": t.Arguments}}}
	}
	object := p.object("chat.completion",
		[]any{map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": p.finish()}})
	if !p.a.NoUsage {
		object["usage"] = p.usage()
	}
	return object
}

func (p *chat) usage() map[string]any {
	u := p.a.Usage
	completion := u.Output
	if u.ReasoningApart {
		completion -= u.Reasoning
	}
	return addCost(map[string]any{
		"prompt_tokens": u.Input, "completion_tokens": completion, "total_tokens": u.Input + u.Output,
		"prompt_tokens_details":     map[string]any{"cached_tokens": u.Cached, "audio_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": u.Reasoning, "audio_tokens": 0},
	}, u)
}

func (p *chat) failure(status int, code, message string) any {
	return openAIFailure(status, code, message)
}

func (p *chat) failed(status int, code, message string) []byte {
	return sse("", openAIFailure(status, code, message))
}
