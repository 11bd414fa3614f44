package vertex

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/schemas"
)

// replayed is a provider without credentials that gets the same answer every time.
func replayed(t testing.TB, answer *providertest.Replay) *Provider {
	t.Helper()
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	p, err := New(Options{Project: "p", BaseURL: "http://vertex.example", Base: answer})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asked() provider.Request {
	return provider.Request{Model: "m", Stream: true,
		Messages: []provider.Message{{Role: provider.RoleUser, Parts: []provider.Part{{Text: "x"}}}}}
}

func eventStream(list ...string) string { return "data: " + strings.Join(list, "\n\ndata: ") + "\n\n" }

const textPart = `{"responseId":"r","modelVersion":"m-1","candidates":[{"content":{"parts":[{"text":"hello w"}]}}]}`

func ending(reason, usage string) string {
	return `{"candidates":[{"finishReason":"` + reason + `"}],"usageMetadata":` + usage + `}`
}

// TestUsageInTheWild: as Vertex documents it. Thoughts are counted beside candidates, what tools brought beside the
// prompt; the totals are worked out by hand.
func TestUsageInTheWild(t *testing.T) {
	for _, c := range []struct {
		name, usage string
		want        *schemas.Usage
	}{
		{"plain", `{"promptTokenCount":20,"candidatesTokenCount":7,"totalTokenCount":27}`,
			&schemas.Usage{InputTokens: 20, OutputTokens: 7}},
		{"from the cache, which is in the prompt", `{"promptTokenCount":2000,"cachedContentTokenCount":1500,
			"candidatesTokenCount":7}`, &schemas.Usage{InputTokens: 2000, CachedTokens: 1500, OutputTokens: 7}},
		{"thoughts", `{"promptTokenCount":20,"candidatesTokenCount":100,"thoughtsTokenCount":600,"totalTokenCount":720}`,
			&schemas.Usage{InputTokens: 20, OutputTokens: 700, ReasoningTokens: 600}},
		{"nothing but thoughts", `{"thoughtsTokenCount":600}`, &schemas.Usage{OutputTokens: 600, ReasoningTokens: 600}},
		{"what tools brought", `{"promptTokenCount":20,"toolUsePromptTokenCount":80,"candidatesTokenCount":7}`,
			&schemas.Usage{InputTokens: 100, OutputTokens: 7}},
		{"by modality", `{"promptTokenCount":278,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},
			{"modality":"IMAGE","tokenCount":258}],"candidatesTokenCount":7}`,
			&schemas.Usage{InputTokens: 278, OutputTokens: 7}},
		{"on demand", `{"promptTokenCount":20,"candidatesTokenCount":7,"trafficType":"ON_DEMAND"}`,
			&schemas.Usage{InputTokens: 20, OutputTokens: 7}},
		{"flex", `{"promptTokenCount":20,"candidatesTokenCount":7,"trafficType":"ON_DEMAND_FLEX"}`,
			&schemas.Usage{InputTokens: 20, OutputTokens: 7, Tier: "flex"}},
		{"priority", `{"promptTokenCount":20,"candidatesTokenCount":7,"trafficType":"ON_DEMAND_PRIORITY"}`,
			&schemas.Usage{InputTokens: 20, OutputTokens: 7, Tier: "priority"}},
		{"more cached than there is", `{"promptTokenCount":20,"cachedContentTokenCount":30}`,
			&schemas.Usage{InputTokens: 20, CachedTokens: 20}},
		{"what cannot be", `{"promptTokenCount":-20,"candidatesTokenCount":7,"thoughtsTokenCount":-3}`,
			&schemas.Usage{OutputTokens: 7}},
		{"nothing", `{"trafficType":"ON_DEMAND"}`, nil},
		{"none", `null`, nil},
	} {
		stream := eventStream(textPart, ending("STOP", c.usage))
		got, _, err := providertest.Ask(t, replayed(t, providertest.Stream(stream)), asked())
		if diff := cmp.Diff(c.want, got.Usage); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

// TestFinishes: every reason of the API's to end, and what it is to the task.
func TestFinishes(t *testing.T) {
	for reason, want := range map[string]struct {
		finish provider.Finish
		kind   provider.Kind
	}{
		"STOP":                      {provider.FinishStop, ""},
		"MAX_TOKENS":                {provider.FinishLength, ""},
		"CONTINUATION":              {provider.FinishLength, ""},
		"SAFETY":                    {provider.FinishRefusal, ""},
		"RECITATION":                {provider.FinishRefusal, ""},
		"LANGUAGE":                  {provider.FinishRefusal, ""},
		"OTHER":                     {provider.FinishRefusal, ""},
		"BLOCKLIST":                 {provider.FinishRefusal, ""},
		"PROHIBITED_CONTENT":        {provider.FinishRefusal, ""},
		"SPII":                      {provider.FinishRefusal, ""},
		"IMAGE_OTHER":               {provider.FinishRefusal, ""},
		"MALFORMED_FUNCTION_CALL":   {provider.FinishStop, provider.WrongForm},
		"UNEXPECTED_TOOL_CALL":      {provider.FinishStop, provider.WrongForm},
		"TOO_MANY_TOOL_CALLS":       {provider.FinishStop, provider.WrongForm},
		"OF_TOMORROW":               {provider.FinishStop, ""},
		"FINISH_REASON_UNSPECIFIED": {provider.FinishStop, provider.Cut},
		"":                          {provider.FinishStop, provider.Cut},
	} {
		for name, answer := range map[string]*providertest.Replay{
			"stream": providertest.Stream(eventStream(textPart, ending(reason, `{"promptTokenCount":20}`))),
			"document": providertest.Document(`{"candidates":[{"content":{"parts":[{"text":"hello w"}]},"finishReason":"` +
				reason + `"}],"usageMetadata":{"promptTokenCount":20}}`),
		} {
			r := asked()
			r.Stream = name == "stream"
			got, _, err := providertest.Ask(t, replayed(t, answer), r)
			var e *provider.Error
			errors.As(err, &e)
			if (e == nil) != (want.kind == "") || e != nil && e.Kind != want.kind || got.Finish != want.finish ||
				got.Text != "hello w" || got.Usage == nil || answer.Requests() != 1 {
				t.Errorf("%s, %s: got %+v, %v", reason, name, got, err)
			}
		}
	}
}

// TestOutcomesBelongTogether: those of calls that were asked for at once have to be one content.
func TestOutcomesBelongTogether(t *testing.T) {
	p, s := start(t)
	outcome := func(id string) provider.Message {
		return provider.Message{Role: provider.RoleTool, ToolCallID: id, Parts: []provider.Part{{Text: `{"n":"` + id + `"}`}}}
	}
	_, err := p.Complete(t.Context(), provider.Request{Model: "m", Messages: []provider.Message{
		{Role: provider.RoleAssistant, ToolCalls: []provider.ToolCall{{ID: "a", Name: "f"}, {ID: "b", Name: "g"}}},
		outcome("a"), outcome("b"),
		{Role: provider.RoleUser, Parts: []provider.Part{{Text: "well?"}}},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"generationConfig":{},"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}},
			{"functionCall":{"name":"g"}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"n":"a"}}},
			{"functionResponse":{"name":"g","response":{"n":"b"}}}]},
		{"role":"user","parts":[{"text":"well?"}]}]}`
	got := string(s.Requests()[0].Body)
	if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzStream: whatever is streamed, or answered at once, comes to an answer or to an error that says what to do.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		eventStream(textPart, ending("STOP", `{"promptTokenCount":20,"candidatesTokenCount":7}`)),
		eventStream(`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":1}}},{"text":"hm",` +
			`"thought":true},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP"}]}`),
		eventStream(`{"promptFeedback":{"blockReason":"SAFETY"}}`),
		eventStream(`{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}`),
		`{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"MAX_TOKENS"}]}`, "", "data: x", "{}",
		`{"candidates":[null,{"content":null}],"usageMetadata":{"promptTokenCount":2147483648}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, answer := range []*providertest.Replay{providertest.Stream(body), providertest.Document(body)} {
			r := asked()
			r.Stream = answer.Header.Get("Content-Type") == "text/event-stream"
			result, streamed, err := providertest.Ask(t, replayed(t, answer), r)
			if r.Stream && result.Text != streamed || answer.Requests() != 1 {
				t.Errorf("%q was streamed, the result has %q (%v), asked %d times", streamed, result.Text, err,
					answer.Requests())
			}
		}
	})
}
