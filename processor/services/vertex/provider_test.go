package vertex

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// start is a provider that asks a fake, without credentials.
func start(t *testing.T) (*Provider, *providertest.Server) {
	t.Helper()
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	s := providertest.Start(t)
	p, err := New(Options{Project: "p", Location: "europe-west4", BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, s
}

// A request says the same as to any other provider.
func TestRequest(t *testing.T) {
	p, s := start(t)
	half := 0.5
	r := provider.Request{
		Model: "gemini-x", Instructions: "be short", MaxOutputTokens: 9, Temperature: &half, TopP: &half,
		Stop: []string{"END"}, PromptCacheKey: "projects/p/locations/l/cachedContents/7", Stream: true,
		Tools:      jsontext.Value(`[{"type":"function","name":"find","description":"d","parameters":{"type":"object"}}]`),
		ToolChoice: jsontext.Value(`"required"`),
		Schema:     &provider.Schema{Schema: jsontext.Value(`{"type":"object"}`)},
		Options:    map[string]jsontext.Value{"labels": jsontext.Value(`{"team":"a"}`)},
		Messages: []provider.Message{
			{Role: provider.RoleUser, Parts: []provider.Part{{Text: "what is this"}, {ImageURL: "gs://b/a.PNG"},
				{MIME: "image/png", Base64: "AAAA"}}},
			{Role: provider.RoleAssistant, ToolCalls: []provider.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}}},
			{Role: provider.RoleTool, ToolCallID: "c1", Parts: []provider.Part{{Text: "found"}}},
		},
	}
	if _, err := p.Complete(t.Context(), r, func(provider.Delta) error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := `{"systemInstruction":{"role":"user","parts":[{"text":"be short"}]},"labels":{"team":"a"},
		"cachedContent":"projects/p/locations/l/cachedContents/7",
		"generationConfig":{"maxOutputTokens":9,"temperature":0.5,"topP":0.5,"stopSequences":["END"],
			"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}},
		"tools":[{"functionDeclarations":[{"name":"find","description":"d","parametersJsonSchema":{"type":"object"}}]}],
		"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},
		"contents":[{"role":"user","parts":[{"text":"what is this"},
				{"fileData":{"fileUri":"gs://b/a.PNG","mimeType":"image/png"}},
				{"inlineData":{"data":"AAAA","mimeType":"image/png"}}]},
			{"role":"model","parts":[{"functionCall":{"name":"find","args":{"a":1}}}]},
			{"role":"user","parts":[{"functionResponse":{"name":"find","response":{"output":"found"}}}]}]}`
	got := s.Requests()[0]
	if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, string(got.Body))); diff != "" {
		t.Error(diff)
	}
	path := "/v1beta1/projects/p/locations/europe-west4/publishers/google/models/gemini-x:streamGenerateContent"
	if got.Path != path || got.Key != "" {
		t.Errorf("asked %s with key %q", got.Path, got.Key)
	}
}

// What cannot be said to Vertex is refused before anything is asked.
func TestRequestsThatAreRefused(t *testing.T) {
	p, s := start(t)
	message := func(m provider.Message) provider.Request { return provider.Request{Messages: []provider.Message{m}} }
	for name, r := range map[string]provider.Request{
		"arguments": message(provider.Message{Role: provider.RoleAssistant,
			ToolCalls: []provider.ToolCall{{Name: "f", Arguments: "[]"}}}),
		"base64":      message(provider.Message{Parts: []provider.Part{{Base64: "?"}}}),
		"tools":       {Tools: jsontext.Value(`{}`)},
		"a tool":      {Tools: jsontext.Value(`[7]`)},
		"tool choice": {ToolChoice: jsontext.Value(`"sometimes"`)},
		"tokens":      {MaxOutputTokens: 1 << 40},
	} {
		r.Model = "m"
		var e *provider.Error
		if _, err := p.Complete(t.Context(), r, nil); !errors.As(err, &e) || e.Kind != provider.BadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if len(s.Requests()) > 0 {
		t.Error("asked all the same")
	}
}

// A prompt that a filter stopped is refused, and has ended: there is nothing to try again.
func TestBlockedPrompt(t *testing.T) {
	p, s := start(t)
	s.Script(providertest.Answer{Status: 200, Body: `{"promptFeedback":{"blockReason":"SAFETY"},
		"usageMetadata":{"promptTokenCount":5}}`})
	got, err := p.Complete(t.Context(), provider.Request{Model: "m"}, nil)
	if err != nil || got.Finish != provider.FinishRefusal || got.Usage == nil || got.Usage.InputTokens != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Older models of embeddings and newer ones are asked in different ways, one input at a time.
func TestEmbeddings(t *testing.T) {
	for _, model := range []string{"text-embedding-005", "gemini-embedding-2"} {
		p, s := start(t)
		got, err := p.Embed(t.Context(), provider.EmbedRequest{Model: model, Inputs: []string{"a b", "bcd"}, Dimensions: 3})
		if err != nil {
			t.Fatalf("%s: %v", model, err)
		}
		if diff := cmp.Diff([][]float64{{3, 0, 0.5}, {3, 0, 0.5}}, got.Vectors); diff != "" || got.Usage == nil ||
			got.Usage.InputTokens != 3 {
			t.Errorf("%s: got %+v\n%s", model, got, diff)
		}
		s.Script(providertest.Answer{Status: 200, Body: `{}`}, providertest.Answer{Status: 429})
		for _, want := range []provider.Kind{provider.Cut, provider.RateLimited} {
			var e *provider.Error
			_, err := p.Embed(t.Context(), provider.EmbedRequest{Model: model, Inputs: []string{"a"}})
			if !errors.As(err, &e) || e.Kind != want {
				t.Errorf("%s: got %v, want %s", model, err, want)
			}
		}
	}
}

// Imagen and Gemini's models make images, each in its way; what a filter kept back is a refusal.
func TestImages(t *testing.T) {
	for _, model := range []string{"imagen-4.0", "gemini-image"} {
		p, s := start(t)
		s.Script(providertest.Answer{Images: []string{"AAAA"}})
		got, err := p.Image(t.Context(), provider.ImageRequest{Model: model, Prompt: "a cat"})
		if diff := cmp.Diff([]provider.Part{{MIME: "image/png", Base64: "AAAA"}}, got.Images); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", model, err, diff)
		}
		s.Script(providertest.Answer{Status: 200, Body: `{"predictions":[],"candidates":[{"finishReason":"IMAGE_SAFETY"}]}`})
		var e *provider.Error
		if _, err := p.Image(t.Context(), provider.ImageRequest{Model: model}); !errors.As(err, &e) ||
			e.Kind != provider.Refused {
			t.Errorf("%s: got %v", model, err)
		}
		if _, err := p.Image(t.Context(), provider.ImageRequest{Model: model, Size: "1x1"}); !errors.As(err, &e) ||
			e.Kind != provider.BadRequest {
			t.Errorf("%s: got %v", model, err)
		}
	}
}

// An access token that is not given is a matter of the credentials, not of the network.
func TestOptions(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	for name, o := range map[string]Options{
		"no project":     {},
		"no URL":         {Project: "p", BaseURL: "secret"},
		"no credentials": {Project: "p"},
		"no such file":   {Project: "p", BaseURL: "http://127.0.0.1:1", CredentialsFile: "/nowhere/key.json"},
	} {
		_, err := New(o)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "set up ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
