package provider

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// maxImageBytes is what the images of a request may have together that are named as artifacts: a request to Vertex AI
// may have 20 MB inline, the least of the four providers.
// https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/image-understanding
const maxImageBytes = 15 << 20 // in base64 it is a third more

// loadImages reads what is named as an artifact, {"artifact": HASH, …}, as bytes.
func loadImages(ctx context.Context, c *processor.Context, lists ...[]Part) error {
	room := int64(maxImageBytes)
	for _, list := range lists {
		for i := range list {
			if list[i].Artifact == "" {
				continue
			}
			part, err := loadImage(ctx, c, list[i].Artifact, room)
			if err != nil {
				return err
			}
			room -= int64(base64.StdEncoding.DecodedLen(len(part.Base64)))
			list[i] = part
		}
	}
	return nil
}

// loadImage reads one, of so many bytes at most.
func loadImage(ctx context.Context, c *processor.Context, hash string, room int64) (Part, error) {
	wrong := func(problem string, about ...any) (Part, error) {
		return Part{}, &processor.InputError{Member: "input_data", Problem: fmt.Sprintf("names artifact %.64q: ", hash) +
			fmt.Sprintf(problem, about...)}
	}
	file, err := c.OpenArtifact(ctx, schemas.Artifact{Hash: hash})
	if err != nil {
		return Part{}, err
	}
	defer func() { _ = file.Close() }()
	if file.Artifact.Size > room {
		return wrong("the images of a request may have %d MiB together; make them smaller", maxImageBytes>>20)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return Part{}, fmt.Errorf("read artifact %s: %w", hash, err)
	}
	mime := file.Artifact.Type
	if !strings.HasPrefix(mime, "image/") { // it was stored without a type, or with a wrong one
		mime = http.DetectContentType(content)
	}
	if !strings.HasPrefix(mime, "image/") {
		return wrong("it is %s and not an image", mime)
	}
	return Part{MIME: mime, Base64: base64.StdEncoding.EncodeToString(content)}, nil
}
