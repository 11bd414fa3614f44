package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

// script is a provider that answers as it is told, one call after the other; the last stays.
type script struct {
	name  string
	steps []step

	mu    sync.Mutex
	calls []Request
}

type step struct {
	wait   time.Duration // before anything comes
	deltas []string
	result Result
	err    error
	hang   bool // until the context ends
	panics bool
}

func (s *script) Name() string { return s.name }

func (s *script) Complete(ctx context.Context, r Request, onDelta func(Delta) error) (Result, error) {
	s.mu.Lock()
	next := s.steps[min(len(s.calls), len(s.steps)-1)]
	s.calls = append(s.calls, r)
	s.mu.Unlock()
	if next.panics {
		panic("the provider panics")
	}
	if !pace.Sleep(ctx, next.wait) {
		return Result{}, context.Cause(ctx)
	}
	for _, text := range next.deltas {
		if err := onDelta(Delta{Text: text}); err != nil {
			return Result{}, err
		}
	}
	if next.hang {
		<-ctx.Done()
		return Result{}, context.Cause(ctx)
	}
	return next.result, next.err
}

func (s *script) asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func newFlow(t testing.TB, c FlowConfig) *Flow {
	t.Helper()
	f, err := NewFlow(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func usage(in, out int64) *schemas.Usage {
	return &schemas.Usage{Model: "gpt-4o", InputTokens: in, OutputTokens: out}
}

func says(text string, in, out int64) step {
	return step{deltas: []string{text},
		result: Result{Text: text, Model: "gpt-4o", Finish: FinishStop, Usage: usage(in, out)}}
}

func run(
	t *testing.T, s *script, c FlowConfig, task schemas.Task, options ...processortest.Option,
) *processortest.Outcome {
	t.Helper()
	flow := newFlow(t, c)
	return processortest.Run(t, Service(s.name, s, flow), task, options...)
}

func task(name, input, options string) schemas.Task {
	return schemas.Task{TaskName: name, InputData: jsontext.Value(input), Context: jsontext.Value(options)}
}

func answerOf(t *testing.T, o *processortest.Outcome) Answer {
	t.Helper()
	var a Answer
	if err := json.Unmarshal(o.End.Result, &a); err != nil {
		t.Fatalf("%s: %v (%s)", o.End.Result, err, o.End.Error)
	}
	return a
}

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

func TestComplete(t *testing.T) {
	s := &script{name: "openai", steps: []step{says("Grüße!", 100, 10)}}
	o := run(t, s, FlowConfig{}, task("complete", `{"prompt":"Say hello","max_tokens":7,"temperature":0.5}`,
		`{"model":"gpt-4o","prompt_cache_key":"k"}`))
	a := answerOf(t, o)
	if a.Text != "Grüße!" || a.Provider != "openai" || a.FinishReason != FinishStop || o.Output() != "Grüße!" {
		t.Errorf("answered %+v, streamed %q", a, o.Output())
	}
	r := s.asked()[0]
	if r.Model != "gpt-4o" || r.MaxOutputTokens != 7 || *r.Temperature != 0.5 || r.PromptCacheKey != "k" || !r.Stream ||
		r.Messages[0].Parts[0].Text != "Say hello" || r.User != "u-1" {
		t.Errorf("asked %+v", r)
	}
	want := &schemas.Usage{Model: "gpt-4o", Provider: "openai", InputTokens: 100, OutputTokens: 10,
		CostPicodollars: new(int64(100*2_500_000 + 10*10_000_000))}
	if diff := cmp.Diff(want, o.End.Usage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

// TestAnyNameIsAnInstruction, over the prompt or all of the input.
func TestAnyNameIsAnInstruction(t *testing.T) {
	s := &script{name: "openai", steps: []step{says("ok", 1, 1)}}
	run(t, s, FlowConfig{}, task("translate_to_German", `{"text":"good morning"}`, `{}`))
	run(t, s, FlowConfig{}, task("be brief", `{"prompt":"why?","instructions":"You are a cat."}`, `{}`))
	if len(s.asked()) != 2 {
		t.Fatalf("asked %d times", len(s.asked()))
	}
	first, second := s.asked()[0], s.asked()[1]
	if first.Instructions != "translate to German" || first.Messages[0].Parts[0].Text != `{"text":"good morning"}` {
		t.Errorf("asked %+v", first)
	}
	if second.Instructions != "You are a cat.\n\nbe brief" || second.Messages[0].Parts[0].Text != "why?" {
		t.Errorf("asked %+v", second)
	}
}

// TestMessages: the forms of both OpenAI APIs, with images and tools.
func TestMessages(t *testing.T) {
	s := &script{name: "openai", steps: []step{says("ok", 1, 1)}}
	run(t, s, FlowConfig{}, task("complete", `{"messages":[{"role":"developer","content":"rules"},
		{"role":"user","content":[{"type":"text","text":"see"},
			{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"42"}],
		"input":[{"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},{"role":"user",
		"content":[{"type":"input_image","image_url":"https://example.org/a.png"}]}],
		"images":["data:image/gif;base64,BB"]}`, `{}`))
	want := []Message{
		{Role: "system", Parts: []Part{{Text: "rules"}}},
		{Role: "user", Parts: []Part{{Text: "see"}, {MIME: "image/png", Base64: "AAAA"}}},
		{Role: "assistant", ToolCalls: []ToolCall{{"c1", "f", "{}"}}},
		{Role: "tool", ToolCallID: "c1", Parts: []Part{{Text: "42"}}},
		{Role: "assistant", ToolCalls: []ToolCall{{"c2", "g", "{}"}}},
		{Role: "user", Parts: []Part{{ImageURL: "https://example.org/a.png"}, {MIME: "image/gif", Base64: "BB"}}},
	}
	if diff := cmp.Diff(want, s.asked()[0].Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestInputIsRefused with the member at fault, before anybody is asked.
func TestInputIsRefused(t *testing.T) {
	for input, want := range map[string]string{
		`{}`: "input_data.prompt is missing", `{"prompt":7}`: "input_data.prompt",
		`{"messages":[{"role":"robot","content":"x"}]}`:               "input_data.messages[0].role",
		`{"messages":[{"role":"user","content":[{"type":"audio"}]}]}`: "input_data.messages[0].content[0].type",
		`{"messages":7}`: "input_data.messages must be",
		`{"prompt":"x","schema":{"type":"nothing"}}`:            "input_data.schema is not a JSON Schema",
		`{"prompt":"x","schema":{"$ref":"file:///etc/passwd"}}`: "input_data.schema is not a JSON Schema",
		`{"prompt":"x","stop":[7]}`:                             "input_data.stop must be",
		`{"prompt":"x","cache":{}}`:                             "input_data.cache.ttl_ms must be",
		`{"prompt":"x","max_tokens":-1}`:                        "input_data.max_output_tokens must not",
	} {
		s := &script{name: "openai", steps: []step{says("ok", 1, 1)}}
		o := run(t, s, FlowConfig{}, task("complete", input, `{}`))
		if o.End.ErrorCode != schemas.CodeInvalidTask || !strings.Contains(o.End.Error, want) || len(s.asked()) > 0 {
			t.Errorf("%s: %s %s, asked %d times", input, o.End.ErrorCode, o.End.Error, len(s.asked()))
		}
	}
}

// TestStructuredOutput: it is checked all the same; what does not fit is asked for again, refusals and lengths end.
func TestStructuredOutput(t *testing.T) {
	const input = `{"prompt":"x","schema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}`
	finished := func(text string, finish Finish) step {
		return step{result: Result{Text: text, Finish: finish, Usage: usage(10, 1)}}
	}
	for _, test := range []struct {
		name     string
		steps    []step
		code     schemas.ErrorCode
		attempts int
		kind     string
	}{
		{"fits", []step{finished(` {"n": 1} `, FinishStop)}, "", 1, ""},
		{"fits the second time", []step{finished(`{"n":"one"}`, FinishStop), finished(`{"n":2}`, FinishStop)}, "", 2, ""},
		{"never fits", []step{finished(`nothing`, FinishStop)}, schemas.CodeServiceError, 3, "wrong_form"},
		{"refused", []step{finished(`no`, FinishRefusal)}, schemas.CodeRefused, 1, "refused"},
		{"too long", []step{finished(`{"n":`, FinishLength)}, schemas.CodeLength, 1, "length"},
		{"refused by a filter", []step{{err: &Error{Provider: "openai", Kind: Refused, Status: 400, Code: "content_filter",
			Message: "no"}}}, schemas.CodeRefused, 1, "refused"},
	} {
		o := run(t, &script{name: "openai", steps: test.steps}, FlowConfig{}, task("complete", input, `{"model":"gpt-4o"}`))
		if o.End.ErrorCode != test.code || len(o.Attempts) != test.attempts {
			t.Errorf("%s: %q after %d attempts: %s", test.name, o.End.ErrorCode, len(o.Attempts), o.End.Error)
			continue
		}
		if test.code == "" && answerOf(t, o).Output.Kind() != '{' {
			t.Errorf("%s: the output is %s", test.name, answerOf(t, o).Output)
		}
		if test.kind != "" && (o.End.Upstream == nil || o.End.Upstream.Kind != test.kind) {
			t.Errorf("%s: upstream %+v", test.name, o.End.Upstream)
		}
		if o.End.Usage == nil || o.End.Usage.InputTokens < int64(test.attempts) {
			t.Errorf("%s: %d attempts used %+v", test.name, test.attempts, o.End.Usage)
		}
	}
}

// TestUsageIsChargedWhateverComes: of an attempt that was cut, cancelled, or whose provider did not say.
func TestUsageIsChargedWhateverComes(t *testing.T) {
	long := strings.Repeat("word ", 70) // 350 bytes: 100 tokens
	for _, test := range []struct {
		name      string
		step      step
		estimated bool
		output    int64
		charged   bool
	}{
		{"a provider that does not say", step{deltas: []string{long}, result: Result{Text: long}}, true, 100, true},
		{"a cut stream", step{deltas: []string{long}, err: &Error{Kind: Cut, Message: "cut"}}, true, 100, true},
		{"a cut stream that says", step{deltas: []string{long}, err: &Error{Kind: Cut, Usage: usage(5, 6)}}, false, 6, true},
		{"a refused request", step{err: &Error{Kind: BadRequest, Status: 400, Message: "no"}}, false, 0, false},
		{"no connection", step{err: &Error{Kind: Network, Message: "no"}}, false, 0, false},
		{"a failure in the middle", step{deltas: []string{long}, err: &Error{Kind: Overloaded, Status: 200}}, true,
			100, true},
	} {
		s := &script{name: "openai", steps: []step{test.step}}
		one := 1
		sent := task("complete", `{"prompt":"`+long+`"}`, `{"model":"gpt-4o"}`)
		sent.Retry = &schemas.Retry{MaxAttempts: &one}
		u := run(t, s, FlowConfig{}, sent).End.Usage
		if (u != nil) != test.charged || u != nil && (u.Estimated != test.estimated || u.OutputTokens != test.output ||
			u.CostPicodollars == nil || u.InputTokens == 0) {
			t.Errorf("%s: %+v", test.name, u)
		}
	}
}

// TestUsageOfAnUnnamedModel: a server that has one model may be asked without naming it; what it used is kept.
func TestUsageOfAnUnnamedModel(t *testing.T) {
	s := &script{name: "openai", steps: []step{{
		result: Result{Text: "hello", Usage: &schemas.Usage{InputTokens: 3, OutputTokens: 4}},
	}}}
	o := run(t, s, FlowConfig{}, task("complete", `{"prompt":"x"}`, `{}`))
	if u := o.End.Usage; u == nil || u.Model != "unnamed" || u.OutputTokens != 4 || u.CostPicodollars != nil {
		t.Errorf("%s with usage %+v", o.End.Status, u)
	}
}

// TestCancelIsCharged: what had come is estimated, and the provider's context ends with the task's.
func TestCancelIsCharged(t *testing.T) {
	s := &script{name: "openai", steps: []step{{deltas: []string{strings.Repeat("x", 35)}, hang: true}}}
	o := run(t, s, FlowConfig{}, task("complete", `{"prompt":"hello there"}`, `{"model":"gpt-4o"}`),
		processortest.OnEvent(func(r *processortest.Running, e *schemas.Event) {
			if e.Kind == schemas.KindOutput {
				r.SoftTimeLimit()
			}
		}))
	if u := o.End.Usage; o.End.Status != schemas.TimedOut || u == nil || !u.Estimated || u.OutputTokens != 10 {
		t.Errorf("%s with usage %+v: %s", o.End.Status, u, o.End.Error)
	}
}

// TestRateLimitUsesNoAttempt: a 429 puts the task off, as often as it comes, and its state says for what.
func TestRateLimitUsesNoAttempt(t *testing.T) {
	busy := step{err: &Error{Provider: "openai", Kind: RateLimited, Status: 429, RetryAfter: 20 * time.Second,
		Message: "slow"}}
	flow := newFlow(t, FlowConfig{})
	s := &script{name: "openai", steps: []step{busy}}
	q := Service("openai", s, flow)
	c := processor.NewContext(&schemas.Task{TaskID: "t", UserID: "u", TaskName: "complete",
		InputData: jsontext.Value(`{"prompt":"x","model":"m"}`)}, "fast", 1,
		func(context.Context, *schemas.Event) error { return nil })
	_, err := q.Methods["complete"](t.Context(), c)
	var put *processor.SnoozeError
	if !errors.As(err, &put) || put.Waits == nil || put.Waits.For != schemas.WaitLimit ||
		put.Waits.Name != "limit/openai/m" {
		t.Fatalf("got %v (%+v)", err, put)
	}
	if left := time.Until(put.Waits.Until); left < 15*time.Second || left > 21*time.Second {
		t.Errorf("waits %v", left)
	}
	another := &schemas.Task{TaskID: "t2", UserID: "v", Context: jsontext.Value(`{"model":"m"}`)}
	if _, wait := q.Admit(another); wait == nil || wait.For != schemas.WaitLimit {
		t.Errorf("another task of the model is let in: %+v", wait)
	}
	grant, wait := q.Admit(&schemas.Task{TaskID: "t3", UserID: "v", Context: jsontext.Value(`{"model":"other"}`)})
	if wait != nil {
		t.Fatalf("another model waits too: %+v", wait)
	}
	grant.Release()
}

// TestFallback: a provider that fails is followed by the next, and readers drop what it had streamed. What is wrong
// with the request is not tried elsewhere.
func TestFallback(t *testing.T) {
	backup := &script{name: "xai", steps: []step{says("from xai", 3, 4)}}
	config := FlowConfig{Providers: []Provider{backup}, Models: map[string]config.Model{
		"smart": {Provider: "openai", Model: "gpt-4o", Fallback: []string{"xai/grok-4.3"}}}}
	s := &script{name: "openai", steps: []step{{
		deltas: []string{"half"}, err: &Error{Provider: "openai", Kind: Cut, Message: "cut"},
	}}}
	o := run(t, s, config, task("complete", `{"prompt":"x"}`, `{"model":"smart"}`))
	if a := answerOf(t, o); a.Text != "from xai" || a.Provider != "xai" || len(o.Attempts) != 1 {
		t.Errorf("answered %+v in %d attempts", a, len(o.Attempts))
	}
	var kinds []string
	for _, e := range o.Events {
		if e.Kind != schemas.KindState {
			kinds = append(kinds, string(e.Kind))
		}
	}
	if got := strings.Join(kinds, " "); got != "output usage reset output usage" {
		t.Errorf("events: %s", got)
	}
	if u := o.End.Usage; u.Provider != "openai, xai" || !u.Estimated || backup.asked()[0].Model != "grok-4.3" {
		t.Errorf("usage %+v", u)
	}
	s = &script{name: "openai", steps: []step{{
		err: &Error{Provider: "openai", Kind: BadRequest, Status: 400, Message: "no"},
	}}}
	if o := run(t, s, config, task("complete", `{"prompt":"x"}`, `{"model":"smart"}`)); len(backup.asked()) != 1 ||
		o.End.Upstream == nil || o.End.Upstream.Status != 400 {
		t.Errorf("a bad request went on: %s", o.End.Error)
	}
}

// TestBreaker: after failures in a row nobody is asked, and tasks wait without an attempt used up.
func TestBreaker(t *testing.T) {
	s := &script{name: "openai", steps: []step{{
		err: &Error{Provider: "openai", Kind: Overloaded, Status: 500, Message: "no"},
	}}}
	flow := newFlow(t, FlowConfig{Settings: map[string]config.Provider{
		"openai": {Breaker: config.Breaker{Failures: 2, Pause: time.Hour}},
	}})
	service := Service("openai", s, flow)
	ask := func() error {
		c := processor.NewContext(&schemas.Task{TaskID: "t", UserID: "u", TaskName: "complete",
			InputData: jsontext.Value(`{"prompt":"x"}`)}, "fast", 1, func(context.Context, *schemas.Event) error { return nil })
		_, err := service.Methods["complete"](t.Context(), c)
		return err
	}
	for range 2 {
		var again *processor.RetryableError
		if err := ask(); !errors.As(err, &again) {
			t.Fatalf("got %v", err)
		}
	}
	var put *processor.SnoozeError
	if err := ask(); !errors.As(err, &put) || put.Waits.Name != "breaker/openai" || len(s.asked()) != 2 {
		t.Errorf("got %v after %d calls", err, len(s.asked()))
	}
	if _, wait := service.Admit(&schemas.Task{TaskID: "t"}); wait == nil || wait.Name != "breaker/openai" {
		t.Errorf("let in: %+v", wait)
	}
}

// TestCache: for tasks that ask for it, of their own user, for as long as they say; equal questions at once are one.
func TestCache(t *testing.T) {
	s := &script{name: "openai", steps: []step{says("a", 1, 1), says("b", 1, 1), says("c", 1, 1), says("d", 1, 1)}}
	flow := newFlow(t, FlowConfig{})
	service := Service("openai", s, flow)
	ask := func(user, cache string) string {
		sent := task("complete", `{"prompt":"x"`+cache+`}`, `{"model":"gpt-4o"}`)
		sent.UserID = user
		o := processortest.Run(t, service, sent)
		a := answerOf(t, o)
		if a.Cached != (o.End.Usage == nil) || o.Output() != a.Text {
			t.Errorf("cached %v, usage %+v, streamed %q", a.Cached, o.End.Usage, o.Output())
		}
		return fmt.Sprint(a.Text, a.Cached)
	}
	const on = `,"cache":{"ttl_ms":3600000}`
	var got []string
	for _, q := range [][2]string{{"ada", on}, {"ada", on}, {"bob", on}, {"ada", ""}, {"ada", on},
		{"cyd", `,"cache":{"ttl_ms":1}`}} {
		got = append(got, ask(q[0], q[1]))
	}
	if want := "afalse atrue bfalse cfalse atrue dfalse"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestMetrics: what became of requests, once for all services of a flow.
func TestMetrics(t *testing.T) {
	flow := newFlow(t, FlowConfig{})
	s := &script{name: "openai", steps: []step{says("a", 10, 2), {err: &Error{Kind: BadRequest}}}}
	one := Service("openai", s, flow)
	other := Service("xai", &script{name: "xai", steps: []step{says("b", 1, 1)}}, flow)
	for range 2 {
		processortest.Run(t, one, task("complete", `{"prompt":"x"}`, `{"model":"gpt-4o"}`))
	}
	var out strings.Builder
	other.WriteMetrics(&out)
	one.WriteMetrics(&out)
	for _, want := range []string{
		`tasklane_provider_requests_total{provider="openai",outcome="answered"} 1`,
		`tasklane_provider_requests_total{provider="openai",outcome="bad_request"} 1`,
		`tasklane_provider_tokens_total{provider="openai",kind="input"} 10`,
		`tasklane_provider_cost_picodollars_total{provider="openai"} 45000000`,
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("not once %s in\n%s", want, out.String())
		}
	}
}
