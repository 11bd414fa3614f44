package providertest

import "bytes"

// fakeTime is when everything was made: 2026-01-01, so that answers are the same every time.
const fakeTime = 1767225600

// responses speaks OpenAI's Responses API.
type responses struct {
	a     Answer
	model string
	seq   int
}

func responsesOf(c *call) func(Answer) protocol {
	return func(a Answer) protocol { return &responses{a: a, model: c.model} }
}

const (
	responseID = "resp_fake"
	messageID  = "msg_fake"
)

func (p *responses) event(kind string, more map[string]any) []byte {
	data := map[string]any{"type": kind, "sequence_number": p.seq}
	p.seq++
	for name, value := range more {
		data[name] = value
	}
	return sse(kind, data)
}

func (p *responses) object(status string, output []any, usage any) map[string]any {
	object := map[string]any{
		"id": responseID, "object": "response", "created_at": fakeTime, "model": p.model, "status": status, "output": output,
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": map[string]any{},
		"parallel_tool_calls": true, "temperature": 1, "tool_choice": "auto", "tools": []any{}, "top_p": 1, "usage": usage,
	}
	if status == "incomplete" {
		object["incomplete_details"] = map[string]any{"reason": "max_output_tokens"}
	}
	return object
}

func (p *responses) message(status string, content ...any) map[string]any {
	if content == nil {
		content = []any{}
	}
	return map[string]any{"type": "message", "id": messageID, "status": status, "role": "assistant", "content": content}
}

func (p *responses) content() map[string]any {
	if p.a.Finish == Refusal {
		return map[string]any{"type": "refusal", "refusal": p.a.Text}
	}
	return map[string]any{"type": "output_text", "text": p.a.Text, "annotations": []any{}, "logprobs": []any{}}
}

func (p *responses) toolItem(arguments, status string) map[string]any {
	t := p.a.Tool
	return map[string]any{"type": "function_call", "id": "fc_fake", "call_id": t.ID, "name": t.Name,
		"arguments": arguments, "status": status}
}

func (p *responses) head() []byte {
	var b bytes.Buffer
	started := p.object("in_progress", []any{}, nil)
	b.Write(p.event("response.created", map[string]any{"response": started}))
	b.Write(p.event("response.in_progress", map[string]any{"response": started}))
	for _, word := range words(p.a.Thoughts) {
		b.Write(p.event("response.reasoning_summary_text.delta",
			map[string]any{"item_id": "rs_fake", "output_index": 0, "summary_index": 0, "delta": word}))
	}
	if p.a.Tool != nil && len(p.a.Pieces) == 0 {
		return b.Bytes()
	}
	empty := map[string]any{"type": "output_text", "text": "", "annotations": []any{}, "logprobs": []any{}}
	if p.a.Finish == Refusal {
		empty = map[string]any{"type": "refusal", "refusal": ""}
	}
	b.Write(p.event("response.output_item.added", map[string]any{"output_index": 0, "item": p.message("in_progress")}))
	b.Write(p.event("response.content_part.added", p.at(map[string]any{"part": empty})))
	return b.Bytes()
}

// at says where in the output an event belongs.
func (p *responses) at(more map[string]any) map[string]any {
	more["item_id"], more["output_index"], more["content_index"] = messageID, 0, 0
	return more
}

func (p *responses) piece(_ int, text string) []byte {
	if p.a.Finish == Refusal {
		return p.event("response.refusal.delta", p.at(map[string]any{"delta": text}))
	}
	return p.event("response.output_text.delta", p.at(map[string]any{"delta": text, "logprobs": []any{}}))
}

func (p *responses) tail() []byte {
	var b bytes.Buffer
	if len(p.a.Pieces) > 0 {
		done := map[string]any{"text": p.a.Text, "logprobs": []any{}}
		kind := "response.output_text.done"
		if p.a.Finish == Refusal {
			kind, done = "response.refusal.done", map[string]any{"refusal": p.a.Text}
		}
		b.Write(p.event(kind, p.at(done)))
		b.Write(p.event("response.content_part.done", p.at(map[string]any{"part": p.content()})))
		b.Write(p.event("response.output_item.done",
			map[string]any{"output_index": 0, "item": p.message(p.itemStatus(), p.content())}))
	}
	if t := p.a.Tool; t != nil {
		i := min(1, len(p.a.Pieces))
		b.Write(p.event("response.output_item.added",
			map[string]any{"output_index": i, "item": p.toolItem("", "in_progress")}))
		for _, part := range words(t.Arguments) {
			b.Write(p.event("response.function_call_arguments.delta",
				map[string]any{"item_id": "fc_fake", "output_index": i, "delta": part}))
		}
		b.Write(p.event("response.function_call_arguments.done",
			map[string]any{"item_id": "fc_fake", "output_index": i, "arguments": t.Arguments}))
		b.Write(p.event("response.output_item.done",
			map[string]any{"output_index": i, "item": p.toolItem(t.Arguments, "completed")}))
	}
	b.Write(p.event("response."+p.status(), map[string]any{"response": p.whole()}))
	return b.Bytes()
}

func (p *responses) status() string {
	if p.a.Finish == Length {
		return "incomplete"
	}
	return "completed"
}

func (p *responses) itemStatus() string { return p.status() }

func (p *responses) whole() any {
	var output []any
	if len(p.a.Pieces) > 0 {
		output = append(output, p.message(p.itemStatus(), p.content()))
	}
	if p.a.Tool != nil {
		output = append(output, p.toolItem(p.a.Tool.Arguments, "completed"))
	}
	return p.object(p.status(), output, p.usage())
}

func (p *responses) usage() any {
	u := p.a.Usage
	if p.a.NoUsage {
		return nil
	}
	usage := map[string]any{
		"input_tokens": u.Input, "input_tokens_details": map[string]any{"cached_tokens": u.Cached},
		"output_tokens": u.Output, "output_tokens_details": map[string]any{"reasoning_tokens": u.Reasoning},
		"total_tokens": u.Input + u.Output,
	}
	if writes := u.CacheWrite5m + u.CacheWrite1h; writes > 0 {
		usage["input_tokens_details"] = map[string]any{"cached_tokens": u.Cached, "cache_write_tokens": writes}
	}
	return addCost(usage, u)
}

func addCost(usage map[string]any, u *Usage) map[string]any {
	if u.CostTicks != 0 {
		usage["cost_in_usd_ticks"] = u.CostTicks
	}
	return usage
}

func (p *responses) failure(status int, code, message string) any {
	return openAIFailure(status, code, message)
}

func (p *responses) failed(_ int, code, message string) []byte {
	object := p.object("failed", []any{}, nil)
	object["error"] = map[string]any{"code": code, "message": message}
	return p.event("response.failed", map[string]any{"response": object})
}

// openAIFailure is the body of a refusal by HTTP.
func openAIFailure(status int, code, message string) any {
	kind := "invalid_request_error"
	switch {
	case status == 429:
		kind = "requests"
	case status >= 500:
		kind = "server_error"
	}
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": code}}
}
