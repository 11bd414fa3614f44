package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// chatFold makes the chunks of a chat completion. Chunks have no numbers by which a reader
// could be told that what it has is void: an attempt that begins anew and says something
// else than was sent ends the stream with an error. One that says the same goes on where
// the one before was cut off.
type chatFold struct {
	chat
	over  bool
	begun bool // a chunk was sent
	// voided says that the stream has ended with an error that makes what was sent void.
	voided bool
	sent   []byte
	// other says that more than the text of the first choice was sent, which is not compared.
	other bool
	// again is what a new attempt has said of the text that was sent, nil if none is compared.
	again  *bytes.Buffer
	tries  int
	finish string // why an answer ended whose chunks do not say it
	// last are chunks that end the answer; they are sent when the task has ended.
	last []object
	// wantsUsage says that the client asked for usage.
	wantsUsage bool
}

// chat is what the record of a task says of its completion.
type chat struct {
	id      string
	created int64
	body    object
}

func chatOf(task *schemas.Task) chat {
	c := chat{id: task.TaskID, created: createdAt(task), body: asObject(task.InputData)}
	if c.body == nil {
		c.body = object{}
	}
	return c
}

func newChatFold(task *schemas.Task) *chatFold {
	f := &chatFold{chat: chatOf(task)}
	f.wantsUsage = asObject(f.body["stream_options"]).is("include_usage")
	return f
}

func (f *chatFold) ended() bool    { return f.over }
func (f *chatFold) begin() []frame { return nil }

func (f *chatFold) take(e *schemas.Event) []frame {
	switch {
	case f.over:
		return nil
	case e.Terminal():
		f.over = true
		return f.end(e)
	case e.Kind == schemas.KindReset:
		f.restart()
	case e.Kind == schemas.KindOutput && e.Output != nil:
		if f.tries != 0 && f.tries != e.Attempt {
			f.restart()
		}
		f.tries = e.Attempt
		return f.output(e.Output)
	}
	return nil
}

func (f *chatFold) restart() {
	f.tries, f.last = 0, nil
	if f.begun {
		f.again = new(bytes.Buffer)
	}
}

func (f *chatFold) output(o *schemas.Output) (frames []frame) {
	raw := rawEvents(o)
	if len(raw) == 0 || asObject(raw[0]).text("object") != "chat.completion.chunk" {
		if o.Text == "" {
			return nil
		}
		return f.text(o.Text)
	}
	for _, v := range raw {
		chunk := asObject(v)
		if chunk.text("object") != "chat.completion.chunk" {
			continue
		}
		more := f.chunk(chunk)
		if frames = append(frames, more...); f.over {
			break
		}
	}
	return frames
}

// text is a piece of an answer that has only text.
func (f *chatFold) text(piece string) []frame {
	var frames []frame
	if f.begun && f.again == nil {
		return []frame{f.textChunk(piece)}
	}
	if !f.begun {
		frames = append(frames, f.send(f.delta(object{}.set("role", "assistant").set("content", "").set("refusal", nil))))
	}
	return append(frames, f.chunk(f.delta(object{}.set("content", piece)))...)
}

// delta is a chunk of the first choice.
func (f *chatFold) delta(d object) object { return f.choice(d, nil) }

func (f *chatFold) choice(d object, finish any) object {
	choice := object{}.set("index", 0).set("delta", d).set("logprobs", nil).set("finish_reason", finish)
	return object{}.set("model", f.body["model"]).set("choices", []jsontext.Value{choice.value()})
}

// chunk sends a chunk, keeps it for the end, or compares it.
func (f *chatFold) chunk(chunk object) []frame {
	choices := chunk.list("choices")
	if len(choices) == 0 { // usage
		f.last = append(f.last, chunk)
		return nil
	}
	text, plain, finishes := "", true, false
	for _, v := range choices {
		choice := asObject(v)
		delta := asObject(choice["delta"])
		finishes = finishes || choice.has("finish_reason")
		text += delta.text("content")
		plain = plain && choice.index("index") == 0 && !delta.has("tool_calls") && !delta.has("function_call") &&
			delta.text("refusal") == ""
	}
	if finishes {
		f.last = append(f.last, chunk)
		return nil
	}
	if f.again == nil {
		f.sent = append(f.sent, text...)
		f.other = f.other || !plain
		return []frame{f.send(chunk)}
	}
	if f.other || !plain {
		return f.void()
	}
	f.again.WriteString(text)
	said := f.again.Bytes()
	switch {
	case bytes.HasPrefix(f.sent, said):
		return nil
	case !bytes.HasPrefix(said, f.sent):
		return f.void()
	}
	rest := string(said[len(f.sent):])
	f.again, f.sent = nil, said
	return []frame{f.send(f.delta(object{}.set("content", rest)).set("model", chunk["model"]))}
}

// void ends the stream: what was sent is void and cannot be taken back.
func (f *chatFold) void() []frame {
	f.over, f.voided = true, true
	e := fault{status: 500, code: "stream_reset", message: "the attempt whose output was streamed has failed, and a " +
		"new one says something else; drop what has come. The task goes on: send the request again with the same " +
		"Idempotency-Key, or look at /v1/tasks/" + f.id + "/result"}
	return []frame{{data: valueOf(e.body())}}
}

func (f *chatFold) send(chunk object) frame {
	f.begun = true
	chunk = chunk.clone()
	chunk.set("id", f.id).set("object", "chat.completion.chunk").set("created", f.created)
	if f.wantsUsage {
		chunk.setMissing("usage", nil)
	} else {
		delete(chunk, "usage")
	}
	return frame{data: chunk.value()}
}

// end is the last of a stream.
func (f *chatFold) end(e *schemas.Event) (frames []frame) {
	if e.Status != schemas.Completed {
		return []frame{{data: valueOf(faultOf(e).body())}}
	}
	answered := asObject(e.Result)
	if !f.begun || f.again != nil && f.again.Len() == 0 { // nothing was streamed of this attempt
		frames = f.whole(e.Result, answered)
	}
	switch {
	case f.voided:
		return frames[len(frames)-1:]
	case f.again != nil && !bytes.Equal(f.again.Bytes(), f.sent): // it said less
		return f.void()
	}
	f.finish = finishOf(e.Result)
	if calls := toolCalls(answered); len(calls) > 0 && !isCompletion(answered) && len(f.last) == 0 {
		delta := toolIndexes(object{}.set("tool_calls", calls))
		frames = append(frames, f.send(f.delta(delta)))
	}
	finishes, usage := f.endings(answered, e.Usage)
	for _, finish := range finishes {
		frames = append(frames, f.send(finish))
	}
	if f.wantsUsage && usage != nil {
		frames = append(frames, f.send(usage))
	}
	return append(frames, frame{data: []byte("[DONE]")})
}

// whole sends an answer that was not streamed.
func (f *chatFold) whole(result jsontext.Value, answered object) []frame {
	if text := plainText(result); !isCompletion(answered) {
		if len(toolCalls(answered)) > 0 {
			text = answered.text("text")
		}
		return f.text(text)
	}
	var frames []frame
	for _, v := range answered.list("choices") {
		choice := asObject(v)
		made := func(delta object, finish jsontext.Value) object {
			one := object{}.set("index", choice.index("index")).set("delta", delta).set("logprobs", nil).
				set("finish_reason", finish)
			return object{}.set("model", answered["model"]).set("choices", []jsontext.Value{one.value()})
		}
		frames = append(frames, f.chunk(made(toolIndexes(asObject(choice["message"])), jsontext.Value("null")))...)
		f.last = append(f.last, made(object{}, choice["finish_reason"]))
	}
	return frames
}

// toolIndexes gives tool calls of a message the indexes that they have in a stream.
func toolIndexes(message object) object {
	calls := message.list("tool_calls")
	for i, v := range calls {
		calls[i] = asObject(v).setMissing("index", i).value()
	}
	if len(calls) > 0 {
		message.set("tool_calls", calls)
	}
	return message
}

// endings are the chunks with the reasons of the end and the one with what was used.
func (f *chatFold) endings(answered object, used *schemas.Usage) (finishes []object, usage object) {
	for _, chunk := range f.last {
		if len(chunk.list("choices")) > 0 {
			finishes = append(finishes, chunk)
		} else if chunk.has("usage") {
			usage = chunk
		}
	}
	if len(finishes) == 0 {
		finishes = []object{f.choice(object{}, f.finish)}
	}
	if usage == nil {
		u := answered["usage"]
		if len(u) == 0 || !isCompletion(answered) {
			if of := chatUsageOf(used); of != nil {
				u = of.value()
			}
		}
		if len(u) > 0 {
			usage = object{}.set("model", finishes[0]["model"]).set("choices", []string{}).set("usage", u)
		}
	}
	return finishes, usage
}

// isCompletion reports whether a result is an answer of the Chat Completions API.
func isCompletion(o object) bool {
	return o != nil && o.text("object") == "chat.completion" && o["choices"].Kind() == '['
}

// said is the text that was streamed of the attempt that stands.
func (f *chatFold) said() string {
	if f.again != nil {
		return f.again.String()
	}
	return string(f.sent)
}

// completion is the whole answer.
func (c chat) completion(e *schemas.Event, streamed string) object {
	if answered := asObject(e.Result); isCompletion(answered) {
		return answered.set("id", c.id).set("created", c.created)
	}
	text := streamed
	if text == "" {
		text = plainText(e.Result)
	}
	message := object{}.set("role", "assistant").set("content", text).set("refusal", nil)
	if calls := toolCalls(asObject(e.Result)); len(calls) > 0 {
		message.set("tool_calls", calls)
		if text = asObject(e.Result).text("text"); text == "" {
			message.set("content", nil)
		}
	}
	choice := object{}.set("index", 0).set("finish_reason", finishOf(e.Result)).set("logprobs", nil).
		set("message", message)
	o := object{}.set("id", c.id).set("object", "chat.completion").set("created", c.created).
		set("model", c.body["model"]).set("choices", []jsontext.Value{choice.value()})
	if usage := chatUsageOf(e.Usage); usage != nil {
		o.set("usage", usage)
	}
	return o
}
