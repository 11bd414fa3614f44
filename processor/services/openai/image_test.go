package openai

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// recorder keeps what is sent, and makes an image.
type recorder struct{ path, contentType, body string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.path, r.contentType, r.body = request.URL.Path, request.Header.Get("Content-Type"), string(b)
	return providertest.Document(`{"data":[{"b64_json":"AAAA"}],"output_format":"webp"}`).RoundTrip(request)
}

// TestImagesToStartFrom: OpenAI takes a form with files, xAI a document with addresses.
func TestImagesToStartFrom(t *testing.T) {
	r := provider.ImageRequest{Model: "m", Prompt: "with a hat", N: 2, User: "u",
		Images: []provider.Part{{MIME: "image/webp", Base64: "AQID"}, {MIME: "image/png", Base64: "BA=="}}}
	made := []provider.Part{{MIME: "image/webp", Base64: "AAAA"}}
	sent := new(recorder)
	p, err := New(Options{APIKey: "key", Base: sent})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Image(t.Context(), r)
	if diff := cmp.Diff(made, got.Images); err != nil || diff != "" || sent.path != "/v1/images/edits" {
		t.Errorf("got %v from %s\n%s", err, sent.path, diff)
	}
	want := []string{"model=m", "prompt=with a hat", "n=2", "safety_identifier=u", "image[]=\x01\x02\x03 image/webp",
		"image[]=\x04 image/png"}
	if diff := cmp.Diff(want, formOf(t, sent), cmp.Transformer("sorted", sorted)); diff != "" {
		t.Error(diff)
	}

	p, err = New(Options{Name: "xai", BaseURL: XAIBaseURL, APIKey: "key", JSONImages: true, Base: sent})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		images []provider.Part
		want   string
	}{
		{r.Images, `"images":[{"type":"image_url","url":"data:image/webp;base64,AQID"},
			{"type":"image_url","url":"data:image/png;base64,BA=="}]`},
		{[]provider.Part{{ImageURL: "https://x.example/a.png"}},
			`"image":{"type":"image_url","url":"https://x.example/a.png"}`},
	} {
		r.Images = c.images
		if _, err := p.Image(t.Context(), r); err != nil || sent.path != "/v1/images/edits" {
			t.Errorf("got %v from %s", err, sent.path)
		}
		want := `{"model":"m","prompt":"with a hat","n":2,"user":"u",` + c.want + `}`
		if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, sent.body)); diff != "" {
			t.Error(diff)
		}
	}
}

// formOf are the fields and files of a form.
func formOf(t *testing.T, sent *recorder) (all []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(sent.contentType)
	if err != nil {
		t.Fatal(err)
	}
	for form := multipart.NewReader(strings.NewReader(sent.body), params["boundary"]); ; {
		part, err := form.NextPart()
		if err != nil {
			return all
		}
		b, _ := io.ReadAll(part)
		all = append(all, strings.TrimSpace(part.FormName()+"="+string(b)+" "+part.Header.Get("Content-Type")))
	}
}

func sorted(list []string) map[string]int {
	count := make(map[string]int)
	for _, one := range list {
		count[one]++
	}
	return count
}
