package openai

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

var noon = schemas.AtTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

func recordOf(id, input string) *schemas.Task {
	return &schemas.Task{TaskID: id, UserID: "ada", TaskName: "responses", Mode: "chat", Service: "openai",
		InputData: jsontext.Value(input), CreatedAt: &noon}
}

func stateEvent(attempt int, status schemas.Status) *schemas.Event {
	return &schemas.Event{Kind: schemas.KindState, Status: status, Attempt: attempt, TaskID: "resp_1", Time: noon}
}

func pieceEvent(attempt, index int, text string, data ...string) *schemas.Event {
	o := &schemas.Output{Index: int64(index), Text: text}
	if len(data) > 0 {
		o.Data = jsontext.Value("[" + strings.Join(data, ",") + "]")
	}
	return &schemas.Event{Kind: schemas.KindOutput, Status: schemas.Running, Attempt: attempt, Output: o, Time: noon}
}

func completedEvent(attempt int, result string) *schemas.Event {
	e := stateEvent(attempt, schemas.Completed)
	e.Result = jsontext.Value(result)
	return e
}

// run takes events through a fold and gives its frames as objects.
func run(t interface{ Fatalf(string, ...any) }, f fold, events ...*schemas.Event) []object {
	var all []object
	add := func(frames []frame) {
		for _, one := range frames {
			if string(one.data) == "[DONE]" {
				all = append(all, object{"type": valueOf("[DONE]")})
				continue
			}
			o := asObject(one.data)
			if o == nil {
				t.Fatalf("frame %q is no object", one.data)
			}
			if one.event != "" && one.event != o.text("type") {
				t.Fatalf("event %q has the type %q", one.event, o.text("type"))
			}
			all = append(all, o)
		}
	}
	add(f.begin())
	for _, e := range events {
		add(f.take(e))
	}
	return all
}

// accumulate is what a client has that puts a stream together by its rules, as the
// official SDKs do: items by output index, texts by content index.
func accumulate(t interface{ Fatalf(string, ...any) }, frames []object) (texts map[int]string, final object) {
	texts = map[int]string{}
	added, done := map[int]string{}, map[int]bool{}
	for n, o := range frames {
		if o.index("sequence_number") != n {
			t.Fatalf("frame %d has the number %s: %s", n, o["sequence_number"], o.value())
		}
		index := o.index("output_index")
		item := asObject(o["item"])
		switch kind := o.text("type"); kind {
		case "response.output_item.added":
			if _, there := added[index]; there || index != len(added) {
				t.Fatalf("item %d is added after %d: %s", index, len(added), o.value())
			}
			added[index] = item.text("id")
		case "response.output_text.delta":
			if done[index] || added[index] == "" || added[index] != o.text("item_id") {
				t.Fatalf("a delta of item %d, %q: %s", index, added[index], o.value())
			}
			texts[index] += o.text("delta")
		case "response.output_text.done":
			if texts[index] != o.text("text") {
				t.Fatalf("item %d has %q at its end, streamed were %q", index, o.text("text"), texts[index])
			}
		case "response.output_item.done":
			if added[index] != item.text("id") || done[index] {
				t.Fatalf("item %d is done: %s", index, o.value())
			}
			if done[index] = true; item.text("status") == statusIncomplete {
				delete(texts, index)
			}
		case "response.completed", "response.failed", "response.incomplete":
			final = asObject(o["response"])
		}
	}
	if final.text("status") == statusCompleted {
		output := final.list("output")
		last := asObject(output[len(output)-1])
		if last.text("id") != added[len(added)-1] {
			t.Fatalf("the last item is %q at the end, streamed was %q", last.text("id"), added[len(added)-1])
		}
	}
	return texts, final
}

func TestPlainTextBecomesAResponse(t *testing.T) {
	frames := run(t, newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`)),
		stateEvent(1, schemas.Running), pieceEvent(1, 0, "Hel"), pieceEvent(1, 1, "lo"),
		completedEvent(1, `{"pieces":2}`))
	var kinds []string
	for _, o := range frames {
		kinds = append(kinds, strings.TrimPrefix(o.text("type"), "response."))
	}
	want := []string{"created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
		"output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Fatal(diff)
	}
	texts, final := accumulate(t, frames)
	if texts[0] != "Hello" || outputText(final) != "Hello" || final.text("id") != "resp_1" || final.text("model") != "m" {
		t.Errorf("%v, %s", texts, final.value())
	}
}

func TestWhatWasNotStreamedIsSentWhole(t *testing.T) {
	for name, tt := range map[string]struct{ result, want string }{
		"text": {`"Hello"`, "Hello"}, "member": {`{"text":"Hello","x":1}`, "Hello"},
		"answer": {`{"answer":"Hello"}`, "Hello"}, "json": {`{"rows":2}`, `{"rows":2}`},
		"response": {`{"object":"response","status":"completed","id":"theirs","output":[{"type":"message","id":"m",` +
			`"role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]}]}`,
			"Hello"},
	} {
		frames := run(t, newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`)),
			stateEvent(1, schemas.Running), completedEvent(1, tt.result))
		texts, final := accumulate(t, frames)
		if texts[0] != tt.want || outputText(final) != tt.want || final.text("id") != "resp_1" {
			t.Errorf("%s: %v, %s", name, texts, final.value())
		}
	}
}

// rawText are the provider's events of a message, with its own numbers and ids.
func rawText(id string, deltas ...string) (events []string) {
	number := 40
	put := func(o object) {
		number++
		events = append(events, string(o.set("sequence_number", number).value()))
	}
	put(object{}.set("type", "response.created").set("response", object{}.set("id", "theirs")))
	put(itemEvent("added", 0, textItem(id, statusInProgress, "")))
	put(partEvent("response.content_part.added", id, 0, 0, textPart("")))
	for _, delta := range deltas {
		put(textEvent("response.output_text.delta", id, 0, 0).set("delta", delta).set("obfuscation", "xyz"))
	}
	text := strings.Join(deltas, "")
	put(textEvent("response.output_text.done", id, 0, 0).set("text", text))
	put(partEvent("response.content_part.done", id, 0, 0, textPart(text)))
	put(itemEvent("done", 0, textItem(id, statusCompleted, text)))
	put(object{}.set("type", "response.completed").set("response", object{}.set("id", "theirs")))
	return events
}

func rawResult(id, text string) string {
	return string(object{}.set("object", "response").set("id", "theirs").set("status", statusCompleted).
		set("usage", map[string]int{"total_tokens": 3}).
		set("output", []jsontext.Value{textItem(id, statusCompleted, text).value()}).value())
}

// Attempts are cut off anywhere, in pieces of any size, and the next says the same or
// something else: the numbers have no gap, a client that keeps to the rules ends with what
// the last attempt has said, and where all have said the same no delta is sent twice.
func TestAttemptsByProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.Bool().Draw(t, "raw")
		attempts := rapid.IntRange(1, 4).Draw(t, "attempts")
		var events []*schemas.Event
		final, same, first := "", true, ""
		for attempt := 1; attempt <= attempts; attempt++ {
			text := rapid.SampledFrom([]string{"The sky is blue.", "The sky is blue.", "The sky is grey, I think.",
				"The", "No."}).Draw(t, "text")
			if attempt == 1 {
				first = text
			}
			same = same && text == first
			events = append(events, stateEvent(attempt, schemas.Running))
			var deltas []string
			for rest := text; rest != ""; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "n")
				deltas, rest = append(deltas, rest[:n]), rest[n:]
			}
			id := fmt.Sprint("item", attempt)
			var pieces []*schemas.Event
			if raw {
				for i, one := range rawText(id, deltas...) {
					pieces = append(pieces, pieceEvent(attempt, i, "", one))
				}
			} else {
				for i, one := range deltas {
					pieces = append(pieces, pieceEvent(attempt, i, one))
				}
			}
			if attempt < attempts {
				pieces = pieces[:rapid.IntRange(0, len(pieces)).Draw(t, "cut")]
			}
			if attempt > 1 && rapid.Bool().Draw(t, "reset") {
				events = append(events, &schemas.Event{Kind: schemas.KindReset, Attempt: attempt})
			}
			events = append(events, pieces...)
			if attempt == attempts {
				final = text
				result := `{}`
				if raw {
					result = rawResult(id, text)
				}
				events = append(events, completedEvent(attempt, result))
			}
		}
		frames := run(t, newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`)), events...)
		texts, o := accumulate(t, frames)
		if outputText(o) != final {
			t.Fatalf("the response is %q, want %q", outputText(o), final)
		}
		all := ""
		for _, one := range texts {
			all = one
		}
		if len(texts) > 1 && same {
			t.Fatalf("the same text was streamed as %v", texts)
		}
		if same && all != final {
			t.Fatalf("streamed %q, want %q", all, final)
		}
		again := run(t, newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`)), events...)
		if diff := cmp.Diff(frames, again); diff != "" {
			t.Fatal("the stream is another the second time:\n" + diff)
		}

		chunks := run(t, newChatFold(recordOf("chatcmpl-1", `{"model":"m"}`)), events...)
		said, failed, over := "", false, false
		for _, chunk := range chunks {
			failed = failed || chunk.has("error")
			over = over || chunk.text("type") == "[DONE]"
			for _, v := range chunk.list("choices") {
				said += asObject(asObject(v)["delta"]).text("content")
			}
		}
		if !raw && (failed == over || over && said != final || failed && same) {
			t.Fatalf("chunks say %q, want %q; failed %v, over %v", said, final, failed, over)
		}
	})
}

// What is made in the fast way is, byte for byte, what the general way makes.
func TestDeltasAreMadeAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "text")
		f := newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`))
		slow := newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`))
		c, slowC := newChatFold(recordOf("chatcmpl-1", `{"model":"m"}`)), newChatFold(recordOf("chatcmpl-1", `{"model":"m"}`))
		f.take(pieceEvent(1, 0, "a"))
		slow.take(pieceEvent(1, 0, "a"))
		c.take(pieceEvent(1, 0, "a"))
		slowC.take(pieceEvent(1, 0, "a"))
		for n, piece := range text {
			if piece == "" {
				continue
			}
			got := string(f.take(pieceEvent(1, n+1, piece))[0].data)
			want := string(slow.push(slow.made.text("msg_1", piece)[0])[0].data)
			if got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
			got = string(c.take(pieceEvent(1, n+1, piece))[0].data)
			if want = string(slowC.chunk(slowC.delta(object{}.set("content", piece)))[0].data); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
			raw := textEvent("response.output_text.delta", "theirs", 0, 0).set("delta", piece).set("sequence_number", 7)
			got = string(f.take(pieceEvent(1, n+1, "", string(raw.value())))[0].data)
			if want = string(slow.push(raw)[0].data); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
		if diff := cmp.Diff(fmt.Sprint(f.sent.parts), fmt.Sprint(slow.sent.parts)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestFailures(t *testing.T) {
	answered := func(status int, kind, code string) *schemas.Upstream {
		return &schemas.Upstream{Name: "openai", Status: status, Kind: kind, Code: code}
	}
	for _, tt := range []struct {
		code     schemas.ErrorCode
		upstream *schemas.Upstream
		status   int
		want     string
		kind     string
	}{
		{schemas.CodeServiceError, answered(404, "bad_request", "model_not_found"), 404, "model_not_found",
			"invalid_request_error"},
		{schemas.CodeServiceError, answered(400, "bad_request", ""), 400, "bad_request", "invalid_request_error"},
		{schemas.CodeServiceError, answered(429, "rate_limited", ""), 429, "rate_limited", "rate_limit_error"},
		{schemas.CodeServiceError, answered(401, "auth", "invalid_api_key"), 401, "invalid_api_key", "authentication_error"},
		{schemas.CodeServiceError, answered(403, "auth", ""), 403, "auth", "permission_error"},
		{schemas.CodeServiceError, answered(503, "overloaded", ""), 503, "overloaded", "server_error"},
		{schemas.CodeServiceError, answered(200, "cut", "stream_cut"), 502, "stream_cut", "server_error"},
		{schemas.CodeServiceError, answered(200, "rate_limited", ""), 429, "rate_limited", "rate_limit_error"},
		{schemas.CodeServiceError, answered(200, "auth", ""), 401, "auth", "authentication_error"},
		{schemas.CodeServiceError, answered(0, "network", "unreachable"), 502, "unreachable", "server_error"},
		{schemas.CodeRefused, answered(200, "refused", ""), 400, "refused", "invalid_request_error"},
		{schemas.CodeLength, answered(200, "length", ""), 400, "length", "invalid_request_error"},
		{schemas.CodeServiceError, answered(999, "strange", ""), 500, "strange", "server_error"},
		{schemas.CodeServiceError, nil, 500, "service_error", "server_error"},
		{schemas.CodeUnknownService, nil, 404, "model_not_found", "invalid_request_error"},
		{schemas.CodeTimeLimit, answered(429, "rate_limited", ""), 504, "time_limit", "server_error"},
		{schemas.CodeOverLimit, nil, 429, "over_limit", "rate_limit_error"},
		{schemas.CodeBlocked, nil, 403, "blocked", "permission_error"},
	} {
		e := stateEvent(1, schemas.Failed)
		e.ErrorCode, e.Error, e.Upstream = tt.code, "what is wrong", tt.upstream
		f := faultOf(e)
		if f.status != tt.status || f.code != tt.want || f.message != e.Error || f.body().Error.Type != tt.kind {
			t.Errorf("%s %+v: %+v", tt.code, tt.upstream, f)
		}
		frames := run(t, newResponseFold(recordOf("resp_1", `{"model":"m"}`)), stateEvent(1, schemas.Running),
			pieceEvent(1, 0, "Hel"), e)
		_, o := accumulate(t, frames)
		if last := frames[len(frames)-1]; last.text("type") != "response.failed" || o.text("status") != statusFailed ||
			asObject(o["error"]).text("message") != e.Error {
			t.Errorf("%s: %s", tt.code, last.value())
		}
	}
	e := stateEvent(1, schemas.Cancelled)
	e.ErrorCode = schemas.CodeCancelled
	frames := run(t, newResponseFold(recordOf("resp_1", `{"model":"m"}`)), e)
	if o := asObject(frames[len(frames)-1]["response"]); o.text("status") != statusCancelled {
		t.Errorf("%s", o.value())
	}
}

func TestChatKeepsToolCallsAndUsage(t *testing.T) {
	chunk := func(delta, finish string) string {
		return fmt.Sprintf(`{"id":"theirs","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[`+
			`{"index":0,"delta":%s,"finish_reason":%s}],"usage":null}`, delta, finish)
	}
	calls := `{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{"}}]}`
	usage := `{"id":"theirs","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[],` +
		`"usage":{"total_tokens":9}}`
	for _, wanted := range []bool{false, true} {
		frames := run(t, newChatFold(recordOf("chatcmpl-1",
			fmt.Sprintf(`{"model":"m","stream_options":{"include_usage":%v}}`, wanted))),
			pieceEvent(1, 0, "", chunk(`{"role":"assistant"}`, "null"), chunk(calls, "null")),
			pieceEvent(1, 1, "", chunk(`{}`, `"tool_calls"`), usage),
			completedEvent(1, `{"object":"chat.completion","choices":[]}`))
		n := 4
		if wanted {
			n = 5
		}
		if len(frames) != n {
			t.Fatalf("%d chunks, want %d", len(frames), n)
		}
		for _, o := range frames[:n-1] {
			if o.text("id") != "chatcmpl-1" || o.index("created") != int(noon.Unix()) || (len(o["usage"]) > 0) != wanted {
				t.Errorf("%s", o.value())
			}
		}
		if finish := asObject(frames[2].list("choices")[0]).text("finish_reason"); finish != "tool_calls" {
			t.Errorf("finished by %q", finish)
		}
	}
}

func TestUIStream(t *testing.T) {
	frames := run(t, newUIFold("t1"), stateEvent(1, schemas.Running), pieceEvent(1, 0, "Hel"),
		&schemas.Event{Kind: schemas.KindReset, Attempt: 2}, pieceEvent(2, 0, "Hello"), completedEvent(2, `{}`))
	got := ""
	for _, o := range frames {
		got += o.text("type") + o.text("delta") + " "
	}
	want := "start text-start text-deltaHel text-end data-reset text-start text-deltaHello text-end finish [DONE] "
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What clients send is read and written again as it is.
func FuzzReadObject(f *testing.F) {
	f.Add([]byte(`{"model":"m","n":1.50,"x":{"a":[null]}}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := readObject(raw)
		if err != nil {
			return
		}
		var want, got any
		if json.Unmarshal(raw, &want) != nil || json.Unmarshal(o.value(), &got) != nil {
			t.Fatalf("%q became %q", raw, o.value())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
