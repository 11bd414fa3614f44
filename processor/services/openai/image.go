package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/openai/openai-go/v3"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// Image makes images of a prompt, or of a prompt and the images to start from, which have to be given in bytes.
func (p *Provider) Image(ctx context.Context, r provider.ImageRequest) (provider.ImageResult, error) {
	path, body, err := p.imageBody(r)
	if err != nil {
		return provider.ImageResult{}, err
	}
	var into *images
	result, err := p.ask(ctx, question{path: path, body: body}, func(call *transport.Call) answer {
		into = &images{call: call}
		return into
	})
	return provider.ImageResult{Model: r.Model, Images: into.parts(), Usage: result.Usage}, err
}

func (p *Provider) imageBody(r provider.ImageRequest) (path string, body any, err error) {
	if len(r.Images) == 0 {
		body := openai.ImageGenerateParams{Model: r.Model, Prompt: r.Prompt, Size: openai.ImageGenerateParamsSize(r.Size)}
		if r.N > 0 {
			body.N = openai.Int(r.N)
		}
		if r.User != "" {
			body.SafetyIdentifier = openai.String(identifier(r.User))
		}
		body.SetExtraFields(rawMembers(r.Options))
		return "images/generations", body, nil
	}
	if p.jsonImages {
		return "images/edits", jsonEdit(r), nil
	}
	edit := openai.ImageEditParams{Model: r.Model, Prompt: r.Prompt, Size: openai.ImageEditParamsSize(r.Size)}
	if r.N > 0 {
		edit.N = openai.Int(r.N)
	}
	if r.User != "" {
		edit.SafetyIdentifier = openai.String(identifier(r.User))
	}
	if len(r.Options) > 0 {
		return "", nil, p.badRequest("options cannot be given with images to start from")
	}
	for i, image := range r.Images {
		b, err := base64.StdEncoding.DecodeString(image.Base64)
		if image.Base64 == "" || err != nil {
			return "", nil, p.badRequest(fmt.Sprintf("image %d must be given in base64: OpenAI takes no addresses here", i))
		}
		edit.Image.OfFileArray = append(edit.Image.OfFileArray, openai.File(io.Reader(bytes.NewReader(b)), "image",
			cmp.Or(image.MIME, "image/png")))
	}
	return "images/edits", edit, nil
}

// jsonEdit asks for an edit by a document, with images by their address or in bytes.
func jsonEdit(r provider.ImageRequest) map[string]any {
	body := rawMembers(r.Options)
	body["model"], body["prompt"] = r.Model, r.Prompt
	if r.N > 0 {
		body["n"] = r.N
	}
	if r.User != "" {
		body["user"] = identifier(r.User)
	}
	images := make([]any, len(r.Images))
	for i, image := range r.Images {
		images[i] = map[string]any{"type": "image_url", "url": image.URL()}
	}
	if len(images) == 1 {
		body["image"] = images[0]
	} else {
		body["images"] = images
	}
	return body
}

// images is an answer with images.
type images struct {
	call *transport.Call

	wire struct {
		Object string `json:"object"`
		Data   []struct {
			Base64 string `json:"b64_json"`
			URL    string `json:"url"`
			MIME   string `json:"mime_type"`
		} `json:"data"`
		Format string         `json:"output_format"`
		Usage  jsontext.Value `json:"usage"`
		Error  *failureWire   `json:"error"`
	}
}

func (i *images) Event([]byte) (bool, error) { return true, transport.ErrMalformed }

func (i *images) Whole() bool { return false }

func (i *images) Document(data []byte) error {
	switch {
	case json.Unmarshal(data, &i.wire) != nil:
		return transport.ErrMalformed
	case i.wire.Data == nil:
		if f := failureIn(i.wire.Error, i.wire.Object, data); f != nil {
			return i.call.Failed(f.code(), f.Message)
		}
		return transport.ErrMalformed
	}
	return nil
}

func (i *images) result() provider.Result {
	return provider.Result{Usage: readUsage(i.wire.Usage, nil)}
}

func (i *images) parts() []provider.Part {
	var parts []provider.Part
	for _, d := range i.wire.Data {
		if d.Base64 != "" {
			format := "image/" + cmp.Or(i.wire.Format, "png")
			parts = append(parts, provider.Part{Base64: d.Base64, MIME: cmp.Or(d.MIME, format)})
		} else if d.URL != "" {
			parts = append(parts, provider.Part{ImageURL: d.URL})
		}
	}
	return parts
}
