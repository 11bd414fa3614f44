package providertest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/processor/provider"
	. "github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/processor/services/anthropic"
	"github.com/aiecs/tasklane/processor/services/openai"
	"github.com/aiecs/tasklane/processor/services/vertex"
)

// canary is the key that every adapter is given, and must appear nowhere.
const canary = "canary-3f9c27b1d2"

// setting is what the tests set of an adapter.
type setting struct {
	url               string
	maxBody, maxEvent int64
	headers           map[string]string
	base              http.RoundTripper
	// anonymous leaves out what a token is asked for with, where that is another request.
	anonymous bool
}

type closer interface {
	provider.Provider
	Close()
}

// adapter is one way to a provider.
type adapter struct {
	name string
	make func(t *testing.T, s setting) (closer, error)
}

func adapters() []adapter {
	openAI := func(name string, api openai.API) func(*testing.T, setting) (closer, error) {
		return func(_ *testing.T, s setting) (closer, error) {
			return openai.New(openai.Options{Name: name, API: api, BaseURL: s.url + "/v1", APIKey: canary, MaxBody: s.maxBody,
				MaxEvent: s.maxEvent, Headers: s.headers, Base: s.base})
		}
	}
	return []adapter{
		{"openai", openAI("openai", openai.Responses)},
		{"openai chat", openAI("openai", openai.Chat)},
		{"xai", openAI("xai", openai.Chat)},
		{"anthropic", func(_ *testing.T, s setting) (closer, error) {
			return anthropic.New(anthropic.Options{BaseURL: s.url, APIKey: canary, MaxBody: s.maxBody, MaxEvent: s.maxEvent,
				Headers: s.headers, Base: s.base})
		}},
		{"vertex", func(t *testing.T, s setting) (closer, error) {
			o := vertex.Options{Project: "p", Location: "l", BaseURL: s.url, MaxBody: s.maxBody, MaxEvent: s.maxEvent,
				Headers: s.headers, Base: s.base}
			if !s.anonymous {
				o.CredentialsFile = keyFile(t, s.url)
			}
			return vertex.New(o)
		}},
	}
}

// keyFile is a service account's key whose tokens come from a fake.
func keyFile(t *testing.T, url string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // for a fake, many times
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "tests@p.example",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": url + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// mustMake is the adapter for a fake.
func (a adapter) mustMake(t *testing.T, s setting) closer {
	t.Helper()
	p, err := a.make(t, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// ask says "one two", and is the answer with what was streamed of it.
func ask(ctx context.Context, p provider.Provider, stream bool) (result provider.Result, streamed string, err error) {
	r := provider.Request{Model: "m", Stream: stream, MaxOutputTokens: 50,
		Messages: []provider.Message{{Role: provider.RoleUser, Parts: []provider.Part{{Text: "one two"}}}}}
	var all strings.Builder
	result, err = p.Complete(ctx, r, func(d provider.Delta) error {
		all.WriteString(d.Text)
		return nil
	})
	return result, all.String(), err
}

// eachWay runs a test for every adapter, streaming and not.
func eachWay(t *testing.T, test func(t *testing.T, a adapter, stream bool)) {
	for _, a := range adapters() {
		for _, stream := range []bool{false, true} {
			name := a.name
			if stream {
				name += " stream"
			}
			t.Run(name, func(t *testing.T) { test(t, a, stream) })
		}
	}
}

// ended waits until the fake has seen how its only request ended.
func ended(t *testing.T, s *Server) Request {
	t.Helper()
	err := s.Await(t.Context(), func(r []Request) bool { return len(r) > 0 && r[len(r)-1].Ended != "" })
	if err != nil {
		t.Fatal(err)
	}
	all := s.Requests()
	return all[len(all)-1]
}
