package providertest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	. "github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/schemas"
)

// Every provider's answer is the same to who asks, and its pieces are the text.
func TestAnswers(t *testing.T) {
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		s := Start(t)
		p := a.mustMake(t, setting{url: s.URL})
		s.Script(Answer{Text: "a short answer", Thoughts: "let me see"}, Answer{Text: "I will not", Finish: Refusal},
			Answer{Text: "too long an", Finish: Length},
			Answer{Tool: &ToolCall{ID: "call_1", Name: "find", Arguments: `{"city":"Paris","in":"C F"}`}})
		for _, want := range []provider.Result{
			{Text: "a short answer", Finish: provider.FinishStop}, {Text: "I will not", Finish: provider.FinishRefusal},
			{Text: "too long an", Finish: provider.FinishLength},
			{Finish: provider.FinishTools,
				ToolCalls: []provider.ToolCall{{ID: "call_1", Name: "find", Arguments: `{"city":"Paris","in":"C F"}`}}},
		} {
			got, streamed, err := ask(t.Context(), p, stream)
			if err != nil {
				t.Fatal(err)
			}
			if stream && streamed != want.Text {
				t.Errorf("streamed %q, want %q", streamed, want.Text)
			}
			if diff := cmp.Diff(want.ToolCalls, got.ToolCalls); diff != "" {
				t.Error(diff)
			}
			if got.Text != want.Text || got.Finish != want.Finish || got.Model != "m" || got.Provider != p.Name() ||
				got.ID == "" {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		if r := ended(t, s); r.Stream != stream || r.Key != canary && a.name != "vertex" ||
			a.name == "vertex" && r.Key != "fake-access-token" {
			t.Errorf("asked by %+v", r)
		}
	})
}

// fault is what a provider does, and what has to come of it.
type fault struct {
	name   string
	answer Answer
	kind   provider.Kind
	wait   time.Duration
	// streamOnly and wholeOnly: there is no such thing the other way.
	streamOnly, wholeOnly bool
	again                 bool // it is worth another try
}

func faults() []fault {
	header := func(names ...string) map[string]string {
		h := make(map[string]string)
		for i := 0; i < len(names); i += 2 {
			h[names[i]] = names[i+1]
		}
		return h
	}
	return []fault{
		{name: "429", answer: Answer{Status: 429}, kind: provider.RateLimited, again: true},
		{name: "429 with seconds", answer: Answer{Status: 429, Header: header("Retry-After", "7")},
			kind: provider.RateLimited, wait: 7 * time.Second, again: true},
		{name: "429 with milliseconds",
			answer: Answer{Status: 429, Header: header("Retry-After", "7", "Retry-After-Ms", "300")},
			kind:   provider.RateLimited, wait: 300 * time.Millisecond, again: true},
		{name: "429 for good", answer: Answer{Status: 429, Header: header("X-Should-Retry", "false")}, kind: provider.Auth},
		{name: "nobody paid", answer: Answer{Status: 429, Code: "insufficient_quota"}, kind: provider.Auth},
		{name: "500", answer: Answer{Status: 500}, kind: provider.Overloaded, again: true},
		{name: "503 with seconds", answer: Answer{Status: 503, Header: header("Retry-After", "2")}, kind: provider.Overloaded,
			wait: 2 * time.Second, again: true},
		{name: "529", answer: Answer{Status: 529}, kind: provider.Overloaded, again: true},
		{name: "500 for good", answer: Answer{Status: 500, Header: header("X-Should-Retry", "false")},
			kind: provider.BadRequest},
		{name: "400 to be tried again", answer: Answer{Status: 400, Header: header("X-Should-Retry", "true")},
			kind: provider.Overloaded, again: true},
		{name: "502 page", answer: Answer{Status: 502, Body: "<html>Bad gateway</html>", ContentType: "text/html"},
			kind: provider.Overloaded, again: true},
		{name: "400", answer: Answer{Status: 400, Message: "no such thing"}, kind: provider.BadRequest},
		{name: "404", answer: Answer{Status: 404, Message: "no such model", Code: "model_not_found"},
			kind: provider.BadRequest},
		{name: "401", answer: Answer{Status: 401}, kind: provider.Auth},
		{name: "403", answer: Answer{Status: 403}, kind: provider.Auth},
		{name: "filtered", answer: Answer{Status: 400, Code: "content_policy_violation"}, kind: provider.Refused},
		{name: "cut before the answer", answer: Answer{End: EndCut, EndAfter: -1}, kind: provider.Network, again: true},
		{name: "cut in the middle", answer: Answer{End: EndCut, EndAfter: 2}, kind: provider.Cut, again: true},
		{name: "without an end mark", answer: Answer{End: EndSilent, EndAfter: 2}, kind: provider.Cut, again: true},
		{name: "without an end mark after all", answer: Answer{End: EndSilent}, kind: provider.Cut, again: true,
			streamOnly: true},
		{name: "malformed", answer: Answer{MalformedAfter: 2}, kind: provider.Cut, again: true},
		{name: "malformed at once", answer: Answer{MalformedAfter: -1}, kind: provider.Cut, again: true},
		{name: "a page instead", answer: Answer{MalformedAfter: -1, ContentType: "text/html"}, kind: provider.Cut,
			again: true},
		{name: "429 in the stream", answer: Answer{Status: 429, Code: "rate_limit_exceeded", FailAfter: 2},
			kind: provider.RateLimited, again: true, streamOnly: true},
		{name: "overloaded in the stream", answer: Answer{Status: 529, Code: "overloaded_error", FailAfter: 2},
			kind: provider.Overloaded, again: true, streamOnly: true},
	}
}

// Every fault becomes the error that says what to do about it; nothing is asked twice; what had come is in the result.
func TestFaults(t *testing.T) {
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		s := Start(t)
		p := a.mustMake(t, setting{url: s.URL})
		for _, f := range faults() {
			if f.streamOnly && !stream || f.wholeOnly && stream {
				continue
			}
			before := len(s.Requests())
			s.Script(f.answer)
			result, streamed, err := ask(t.Context(), p, stream)
			var e *provider.Error
			if !errors.As(err, &e) {
				t.Errorf("%s: got %v", f.name, err)
				continue
			}
			if e.Kind != f.kind || e.RetryAfter != f.wait || e.Retryable() != f.again || e.Provider != p.Name() ||
				e.Message == "" {
				t.Errorf("%s: got %+v, want %s after %v", f.name, e, f.kind, f.wait)
			}
			if f.answer.Status != 0 && f.answer.FailAfter == 0 && e.Status != f.answer.Status {
				t.Errorf("%s: status %d", f.name, e.Status)
			}
			if result.Text != streamed {
				t.Errorf("%s: %q was streamed, the result has %q", f.name, streamed, result.Text)
			}
			if u := result.Usage; u != nil && !u.Estimated {
				t.Errorf("%s: usage of what did not end is exact: %+v", f.name, u)
			}
			if asked := len(s.Requests()) - before; asked != 1 {
				t.Errorf("%s: asked %d times", f.name, asked)
			}
		}
	})
}

// Usage is in the one normal form, whatever the provider's own is.
func TestUsage(t *testing.T) {
	cost := int64(37_756_000 * 100)
	for _, c := range []struct {
		name  string
		usage Usage
		want  schemas.Usage
		only  string // one adapter
	}{
		{name: "plain", usage: Usage{Input: 20, Output: 7}, want: schemas.Usage{InputTokens: 20, OutputTokens: 7}},
		{name: "cached", usage: Usage{Input: 2000, Cached: 1500, Output: 7},
			want: schemas.Usage{InputTokens: 2000, CachedTokens: 1500, OutputTokens: 7}},
		{name: "reasoning", usage: Usage{Input: 20, Output: 700, Reasoning: 600},
			want: schemas.Usage{InputTokens: 20, OutputTokens: 700, ReasoningTokens: 600}},
		{name: "reasoning beside", usage: Usage{Input: 20, Output: 700, Reasoning: 600, ReasoningApart: true}, only: "xai",
			want: schemas.Usage{InputTokens: 20, OutputTokens: 700, ReasoningTokens: 600}},
		{name: "charged", usage: Usage{Input: 20, Output: 7, CostTicks: 37_756_000}, only: "xai",
			want: schemas.Usage{InputTokens: 20, OutputTokens: 7, CostPicodollars: &cost}},
		{name: "written", usage: Usage{Input: 5000, Cached: 1000, CacheWrite5m: 2000, CacheWrite1h: 500, Output: 9},
			only: "anthropic",
			want: schemas.Usage{InputTokens: 5000, CachedTokens: 1000, CacheWriteTokens: 2500, CacheWrite1hTokens: 500,
				OutputTokens: 9}},
		{name: "written too", usage: Usage{Input: 5000, Cached: 1000, CacheWrite5m: 2000, Output: 9}, only: "openai",
			want: schemas.Usage{InputTokens: 5000, CachedTokens: 1000, CacheWriteTokens: 2000, OutputTokens: 9}},
	} {
		eachWay(t, func(t *testing.T, a adapter, stream bool) {
			if c.only != "" && a.name != c.only || c.usage.Reasoning > 0 && a.name == "anthropic" {
				return
			}
			s := Start(t)
			p := a.mustMake(t, setting{url: s.URL})
			s.Script(Answer{Usage: &c.usage}, Answer{NoUsage: true})
			got, _, err := ask(t.Context(), p, stream)
			if err != nil || got.Usage == nil {
				t.Fatalf("%s: got %+v, %v", c.name, got, err)
			}
			if diff := cmp.Diff(c.want, *got.Usage); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
			if missing, _, err := ask(t.Context(), p, stream); err != nil || missing.Usage != nil {
				t.Errorf("without usage: got %+v, %v", missing.Usage, err)
			}
		})
	}
}

// A context that ends closes the connection, and its cause is what is returned.
func TestCancelClosesTheConnection(t *testing.T) {
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		for _, holdAfter := range []int{0, 1} {
			if holdAfter > 0 && !stream {
				continue
			}
			s := Start(t)
			p := a.mustMake(t, setting{url: s.URL})
			s.Script(Answer{Gate: "never", HoldAfter: holdAfter})
			stopped := errors.New("the task was cancelled")
			ctx, cancel := context.WithCancelCause(t.Context())
			var at time.Time
			go func() {
				_ = s.AwaitHeld(ctx, "never", 1)
				at = time.Now()
				cancel(stopped)
			}()
			if _, _, err := ask(ctx, p, stream); !errors.Is(err, stopped) {
				t.Errorf("got %v", err)
			}
			r := ended(t, s)
			if r.Ended != "gone" {
				t.Errorf("the fake saw %q", r.Ended)
			}
			t.Logf("closed after %v", r.EndedAt.Sub(at))
		}
	})
}

// Who cannot take what comes ends the request, and is told its own error.
func TestReadersEndTheRequest(t *testing.T) {
	for _, a := range adapters() {
		s := Start(t)
		p := a.mustMake(t, setting{url: s.URL})
		s.Script(Answer{Endless: EndlessPieces})
		full := errors.New("the log is closed")
		r := provider.Request{Model: "m", Stream: true,
			Messages: []provider.Message{{Role: provider.RoleUser, Parts: []provider.Part{{Text: "x"}}}}}
		if _, err := p.Complete(t.Context(), r, func(provider.Delta) error { return full }); !errors.Is(err, full) {
			t.Errorf("%s: got %v", a.name, err)
		}
		if r := ended(t, s); r.Ended != "gone" {
			t.Errorf("%s: the fake saw %q", a.name, r.Ended)
		}
	}
}

// What never ends is read up to a limit, and the connection closed.
func TestAnswersAreBounded(t *testing.T) {
	const limit = 1 << 18
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		endless := []Answer{{Endless: EndlessBody}}
		if stream {
			endless = append(endless, Answer{Endless: EndlessPieces}, Answer{Endless: EndlessLine},
				Answer{Endless: EndlessEvent}, Answer{Endless: EndlessComments},
				Answer{Endless: EndlessLine, ContentType: "text/plain"})
		}
		for _, answer := range endless {
			e := answer.Endless
			s := Start(t)
			p := a.mustMake(t, setting{url: s.URL, maxBody: 4 * limit, maxEvent: limit})
			s.Script(answer)
			_, _, err := ask(t.Context(), p, stream)
			var known *provider.Error
			if !errors.As(err, &known) || known.Retryable() && known.Kind != provider.Cut {
				t.Errorf("%s: got %v", e, err)
			}
			// What is under way in buffers between the two comes on top.
			if r := ended(t, s); r.Ended != "gone" || r.Written > 32<<20 {
				t.Errorf("%s: %d bytes were sent, %q", e, r.Written, r.Ended)
			}
		}
	})
}

// A redirect to somebody else is not followed: the key would go along.
func TestRedirectsAreNotFollowed(t *testing.T) {
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		s, other := Start(t), Start(t)
		p := a.mustMake(t, setting{url: s.URL})
		for _, status := range []int{301, 302, 307, 308} {
			s.Script(Answer{Status: status, Header: map[string]string{"Location": other.URL + "/v1/responses?key=" + canary}})
			_, _, err := ask(t.Context(), p, stream)
			var e *provider.Error
			if !errors.As(err, &e) || e.Code != "redirected" || e.Retryable() || strings.Contains(err.Error(), canary) {
				t.Errorf("%d: got %v", status, err)
			}
		}
		if seen := other.Requests(); len(seen) > 0 {
			t.Errorf("followed: %+v", seen)
		}
	})
}

// Keys are in no error, even when the provider repeats them.
func TestSecretsStayInside(t *testing.T) {
	const headerCanary, userCanary, passwordCanary = "header-canary-77b1", "user-canary-81fa", "pass/canary+02c4"
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		s := Start(t)
		where, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		where.User = url.UserPassword(userCanary, passwordCanary)
		p := a.mustMake(t, setting{url: where.String(), headers: map[string]string{"X-Tenant": headerCanary}})
		key := canary
		if a.name == "vertex" {
			key = "fake-access-token"
		}
		scripts := []Answer{{Status: 401, EchoSecrets: true}, {Status: 500, EchoSecrets: true},
			{Status: 429, Code: key, EchoSecrets: true}, {Status: 400, Body: "no: " + key},
			{Status: 400, Body: where.String()}, {Status: 422, Body: where.User.String()},
			{Status: 403, Body: base64.StdEncoding.EncodeToString([]byte(userCanary + ":" + passwordCanary))},
			{Status: 403, Body: userCanary + " may not, with " + passwordCanary}}
		if stream {
			scripts = append(scripts, Answer{Status: 500, FailAfter: 1, EchoSecrets: true, Code: key})
		}
		for i, script := range scripts {
			s.Script(script)
			_, _, err := ask(t.Context(), p, stream)
			text := fmt.Sprintf("%v %+v %#v", err, err, err)
			var e *provider.Error
			if !errors.As(err, &e) {
				t.Fatalf("%d: got %v", i, err)
			}
			text += fmt.Sprintf("%+v", *e)
			for _, secret := range []string{key, headerCanary, userCanary, passwordCanary, url.QueryEscape(passwordCanary),
				base64.StdEncoding.EncodeToString([]byte(userCanary))[:20]} {
				if strings.Contains(text, secret) {
					t.Errorf("%d: %s is in %s", i, secret, text)
				}
			}
			if (script.EchoSecrets || script.Body != "") && !strings.Contains(text, "[secret]") {
				t.Errorf("%d: nothing was taken out of %s", i, text)
			}
		}
		if r := ended(t, s); r.Header.Get("X-Tenant") != headerCanary {
			t.Error("the header was not sent")
		}
	})
}

// Where nobody listens, or a connection breaks, the address's password is not told.
func TestUnreachable(t *testing.T) {
	for _, a := range adapters() {
		p := a.mustMake(t, setting{url: "http://user:" + canary + "@127.0.0.1:1", base: deaf{}})
		_, _, err := ask(t.Context(), p, true)
		var e *provider.Error
		if !errors.As(err, &e) || e.Retryable() != (e.Kind == provider.Network || e.Kind == provider.Overloaded) ||
			strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v", a.name, err)
		}
	}
}

type deaf struct{}

func (deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("dial %s: %w", r.URL.String(), io.ErrUnexpectedEOF)
}

// A key that is revoked while the processor runs is refused from then on.
func TestRevokedKey(t *testing.T) {
	for _, a := range adapters() {
		s := Start(t)
		p := a.mustMake(t, setting{url: s.URL})
		if _, _, err := ask(t.Context(), p, true); err != nil {
			t.Fatal(err)
		}
		s.Revoke(s.Requests()[0].Key)
		var e *provider.Error
		if _, _, err := ask(t.Context(), p, true); !errors.As(err, &e) || e.Kind != provider.Auth {
			t.Errorf("%s: got %v", a.name, err)
		}
	}
}
