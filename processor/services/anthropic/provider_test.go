package anthropic

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/schemas"
)

func start(t *testing.T) (*Provider, *providertest.Server) {
	t.Helper()
	s := providertest.Start(t)
	p, err := New(Options{BaseURL: s.URL, APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, s
}

func said(role, text string) provider.Message {
	return provider.Message{Role: role, Parts: []provider.Part{{Text: text}}}
}

// A request says the same as to any other provider: system messages beside, functions translated, a form asked for.
func TestRequest(t *testing.T) {
	p, s := start(t)
	half := 0.5
	r := provider.Request{
		Model: "m", Instructions: "be short", MaxOutputTokens: 9, Temperature: &half, TopP: &half, Stop: []string{"END"},
		PromptCacheKey: "k", User: "u", Stream: true,
		Tools: jsontext.Value(`[{"type":"function","name":"find","description":"d","parameters":{"type":"object"}},
			{"type":"function","function":{"name":"old"}},{"type":"web_search_20250305","name":"web_search"}]`),
		ToolChoice: jsontext.Value(`{"type":"function","function":{"name":"find"}}`),
		Schema:     &provider.Schema{Schema: jsontext.Value(`{"type":"object"}`)},
		Options:    map[string]jsontext.Value{"top_k": jsontext.Value(`5`)},
		Messages: []provider.Message{
			said(provider.RoleSystem, "in French"),
			{Role: provider.RoleUser, Parts: []provider.Part{{Text: "what is this"}, {ImageURL: "https://x.example/a.png"},
				{MIME: "image/png", Base64: "AAAA"}}},
			{Role: provider.RoleAssistant, Parts: []provider.Part{{Text: ""}},
				ToolCalls: []provider.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}, {ID: "c2", Name: "old"}}},
			{Role: provider.RoleTool, ToolCallID: "c1", Parts: []provider.Part{{Text: "found"}}},
		},
	}
	if _, err := p.Complete(t.Context(), r, func(provider.Delta) error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := `{"model":"m","max_tokens":9,"temperature":0.5,"top_p":0.5,"top_k":5,"stop_sequences":["END"],"stream":true,
		"metadata":{"user_id":"u"},"cache_control":{"type":"ephemeral"},
		"system":[{"type":"text","text":"be short"},{"type":"text","text":"in French"}],
		"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},
		"tools":[{"name":"find","description":"d","input_schema":{"type":"object"}},
			{"name":"old","input_schema":{"type":"object","properties":{}}},{"type":"web_search_20250305","name":"web_search"}],
		"tool_choice":{"type":"tool","name":"find"},
		"messages":[{"role":"user","content":[{"type":"text","text":"what is this"},
				{"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},
				{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"find","input":{"a":1}},
				{"type":"tool_use","id":"c2","name":"old","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":false,
				"content":[{"type":"text","text":"found"}]}]}]}`
	got := s.Requests()[0]
	if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, string(got.Body))); diff != "" {
		t.Error(diff)
	}
	if got.Header.Get("Anthropic-Version") == "" || got.Key != "key" {
		t.Errorf("headers %v", got.Header)
	}
}

// What cannot be said to Anthropic is refused before anything is asked.
func TestRequestsThatAreRefused(t *testing.T) {
	p, s := start(t)
	for name, r := range map[string]provider.Request{
		"arguments": {Messages: []provider.Message{{Role: provider.RoleAssistant,
			ToolCalls: []provider.ToolCall{{Name: "f", Arguments: "{"}}}}},
		"tools":        {Tools: jsontext.Value(`{}`)},
		"a tool":       {Tools: jsontext.Value(`[7]`)},
		"tool choice":  {ToolChoice: jsontext.Value(`"sometimes"`)},
		"tool choice7": {ToolChoice: jsontext.Value(`7`)},
	} {
		var e *provider.Error
		if _, err := p.Complete(t.Context(), r, nil); !errors.As(err, &e) || e.Kind != provider.BadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if len(s.Requests()) > 0 {
		t.Error("asked all the same")
	}
}

// Of an answer that was cut or cancelled the input is known exactly, and what came of the output is estimated.
func TestUsageOfWhatDidNotEnd(t *testing.T) {
	usage := &providertest.Usage{Input: 5000, Cached: 4000, CacheWrite5m: 500, Output: 900}
	for name, answer := range map[string]providertest.Answer{
		"cut":       {End: providertest.EndCut, EndAfter: 3},
		"cancelled": {Gate: "never", HoldAfter: 3},
	} {
		p, s := start(t)
		answer.Usage, answer.Pieces = usage, []string{"1234567", "1234567", "1234567", "never"}
		s.Script(answer)
		ctx, cancel := context.WithCancel(t.Context())
		pieces := 0
		got, err := p.Complete(ctx, provider.Request{Model: "m", Stream: true,
			Messages: []provider.Message{said(provider.RoleUser, "x")}}, func(provider.Delta) error {
			if pieces++; pieces == 3 && name == "cancelled" {
				cancel()
			}
			return nil
		})
		cancel()
		if err == nil {
			t.Fatalf("%s: got an answer", name)
		}
		want := &schemas.Usage{InputTokens: 5000, CachedTokens: 4000, CacheWriteTokens: 500, OutputTokens: 6, Estimated: true}
		if diff := cmp.Diff(want, got.Usage); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Calls without arguments are streamed without any.
func TestToolWithoutArguments(t *testing.T) {
	p, s := start(t)
	s.Script(providertest.Answer{Tool: &providertest.ToolCall{ID: "c", Name: "now"}})
	none := func(provider.Delta) error { return nil }
	got, err := p.Complete(t.Context(), provider.Request{Model: "m", Stream: true}, none)
	want := []provider.ToolCall{{ID: "c", Name: "now", Arguments: "{}"}}
	if diff := cmp.Diff(want, got.ToolCalls); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// What a balance of nothing looks like is nothing that waiting helps against.
func TestNobodyPaid(t *testing.T) {
	p, s := start(t)
	s.Script(providertest.Answer{Status: 400, Message: "Your credit balance is too low to access the API."})
	var e *provider.Error
	_, err := p.Complete(t.Context(), provider.Request{Model: "m"}, nil)
	if !errors.As(err, &e) || e.Kind != provider.Auth {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "of the environment")
	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
	for name, o := range map[string]Options{"no key": {}, "no URL": {BaseURL: "secret", APIKey: "secret"}} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p, s := start(t)
	if _, err := p.Complete(t.Context(), provider.Request{Model: "m"}, nil); err != nil || s.Requests()[0].Key != "key" {
		t.Errorf("the environment was asked: %v", err)
	}
}
