package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

const png = "\x89PNG\r\n\x1a\n and so on"

// TestImagesAreFiles: a part of a message and an image may be files of the user's, whatever type they were stored with.
func TestImagesAreFiles(t *testing.T) {
	files := new(processortest.Artifacts)
	photo := files.Put("ada", "a.webp", "image/webp", []byte("webp"))
	plain := files.Put("ada", "b", "application/octet-stream", []byte(png))
	s := &script{name: "openai", steps: []step{says("ok", 1, 1)}}
	asked := task("complete", fmt.Sprintf(`{"messages":[{"role":"user","content":[{"type":"text","text":"see"},
		{"artifact":%[1]q,"type":"image/webp","name":"a.webp","size":4}]},{"role":"user","content":"and"}],
		"images":[{"artifact":%[2]q},"https://example.org/a.png"]}`, photo.Hash, plain.Hash), `{}`)
	asked.UserID = "ada"
	o := run(t, s, FlowConfig{}, asked, processortest.WithArtifacts(files))
	if o.Status() != schemas.Completed {
		t.Fatal(o.End.Error)
	}
	want := []Message{
		{Role: "user", Parts: []Part{{Text: "see"}, {MIME: "image/webp", Base64: "d2VicA=="}}},
		{Role: "user", Parts: []Part{{Text: "and"},
			{MIME: "image/png", Base64: base64.StdEncoding.EncodeToString([]byte(png))},
			{ImageURL: "https://example.org/a.png"}}},
	}
	if diff := cmp.Diff(want, s.asked()[0].Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if n := files.NotClosed(); n != 0 {
		t.Errorf("%d files are open", n)
	}
}

// TestFilesThatAreNoImages are refused before anybody is asked, and so are another user's.
func TestFilesThatAreNoImages(t *testing.T) {
	files := new(processortest.Artifacts)
	half := func(with byte) string {
		return files.Put("ada", "", "image/png", bytes.Repeat([]byte{with}, maxImageBytes/2+1)).Hash
	}
	name := func(hashes ...string) string {
		return `{"prompt":"x","images":[{"artifact":"` + strings.Join(hashes, `"},{"artifact":"`) + `"}]}`
	}
	for input, want := range map[string]string{
		name(files.Put("bob", "", "image/png", []byte("b")).Hash):       "no such artifact",
		name(files.Put("ada", "", "text/plain", []byte("a text")).Hash): "it is text/plain; charset=utf-8 and not an image",
		name("../secret"):                           "no such artifact",
		name(half(1), half(2)):                      "have 15 MiB together",
		`{"prompt":"x","images":[{"artifact":""}]}`: "input_data.images must be",
		`{"prompt":"x","images":[7]}`:               "input_data.images must be",
		`{"prompt":"x","images":{"url":"x"}}`:       "input_data.images must be",
		`{"messages":[{"role":"user","content":[{"type":"file","file_id":"file_1"}]}]}`: "a file is {artifact: HASH}",
	} {
		s := &script{name: "openai", steps: []step{says("ok", 1, 1)}}
		asked := task("complete", input, `{}`)
		asked.UserID = "ada"
		o := run(t, s, FlowConfig{}, asked, processortest.WithArtifacts(files))
		if o.End.ErrorCode != schemas.CodeInvalidTask || !strings.Contains(o.End.Error, want) || len(s.asked()) > 0 {
			t.Errorf("%.200s: %s %s, asked %d times; want %s", input, o.End.ErrorCode, o.End.Error, len(s.asked()), want)
		}
	}
}

// painter is a script that makes images, and keeps what it was asked to start from.
type painter struct {
	script
	from []Part
}

func (p *painter) Image(_ context.Context, r ImageRequest) (ImageResult, error) {
	p.from = r.Images
	return ImageResult{Model: r.Model, Images: []Part{{MIME: "image/png", Base64: "AA=="}}}, nil
}

func TestImagesToStartFromAreFiles(t *testing.T) {
	files := new(processortest.Artifacts)
	photo := files.Put("ada", "a.png", "image/png", []byte("photo"))
	p := &painter{script: script{name: "openai"}}
	asked := task("image", fmt.Sprintf(`{"prompt":"bluer","images":{"artifact":%q}}`, photo.Hash), `{"model":"m"}`)
	asked.UserID = "ada"
	o := processortest.Run(t, Service("openai", p, newFlow(t, FlowConfig{})), asked, processortest.WithArtifacts(files))
	want := []Part{{MIME: "image/png", Base64: "cGhvdG8="}}
	if diff := cmp.Diff(want, p.from); diff != "" || o.Status() != schemas.Completed {
		t.Errorf("ended %s %s; images (-want +got):\n%s", o.Status(), o.End.Error, diff)
	}
}
