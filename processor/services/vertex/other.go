package vertex

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/genai"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/schemas"
)

// Embed asks for a vector of each input, one after the other: newer models take one at a time.
func (p *Provider) Embed(ctx context.Context, r provider.EmbedRequest) (provider.EmbedResult, error) {
	result := provider.EmbedResult{Model: r.Model}
	options, err := optionsOf(r.Options)
	if err != nil {
		return result, p.badRequest(err)
	}
	config := &genai.EmbedContentConfig{HTTPOptions: options}
	if r.Dimensions > 0 {
		dimensions := int32(min(r.Dimensions, 1<<30))
		config.OutputDimensionality = &dimensions
	}
	for _, input := range r.Inputs {
		vector, tokens, err := p.embedOne(ctx, r.Model, input, config)
		if tokens > 0 {
			if result.Usage == nil {
				result.Usage = new(schemas.Usage)
			}
			result.Usage.InputTokens += tokens
		}
		if err != nil {
			return result, err
		}
		result.Vectors = append(result.Vectors, vector)
	}
	return result, nil
}

func (p *Provider) embedOne(ctx context.Context, model, input string, config *genai.EmbedContentConfig) (
	vector []float64, tokens int64, err error) {
	ctx, call := p.transport.Begin(ctx)
	response, err := p.client.Models.EmbedContent(ctx, model, genai.Text(input), config)
	if broke := call.Broke(ctx); broke != nil {
		return nil, 0, broke
	}
	if err != nil {
		return nil, 0, p.explain(ctx, call, err)
	}
	if len(response.Embeddings) != 1 || response.Embeddings[0] == nil || len(response.Embeddings[0].Values) == 0 {
		return nil, 0, call.Err(ctx, fmt.Errorf("it has %d vectors for one input", len(response.Embeddings)))
	}
	one := response.Embeddings[0]
	for _, value := range one.Values {
		vector = append(vector, float64(value))
	}
	if one.Statistics != nil {
		tokens = int64(one.Statistics.TokenCount)
	}
	return vector, tokens, nil
}

// Image makes images: by Imagen, or by a model of Gemini that answers with them, which takes images to start from too.
func (p *Provider) Image(ctx context.Context, r provider.ImageRequest) (provider.ImageResult, error) {
	if strings.HasPrefix(r.Model, "imagen") {
		return p.imagen(ctx, r)
	}
	parts := append([]provider.Part{{Text: r.Prompt}}, r.Images...)
	contents, config, err := contentsOf(provider.Request{Model: r.Model, Options: r.Options,
		Messages: []provider.Message{{Role: provider.RoleUser, Parts: parts}}})
	if err != nil {
		return provider.ImageResult{}, p.badRequest(err)
	}
	if r.N > 1 || r.Size != "" {
		return provider.ImageResult{}, p.badRequest(fmt.Errorf("%s makes one image, of a size of its own; "+
			"leave out n and size, or give its aspect ratio in options", r.Model))
	}
	config.ResponseModalities = []string{"TEXT", "IMAGE"}
	ctx, call := p.transport.Begin(ctx)
	c := &content{model: r.Model}
	response, err := p.client.Models.GenerateContent(ctx, r.Model, contents, config)
	if broke := call.Broke(ctx); broke != nil {
		return provider.ImageResult{}, broke
	}
	if err != nil {
		return provider.ImageResult{}, p.explain(ctx, call, err)
	}
	if err := c.add(response); err != nil {
		return provider.ImageResult{}, err
	}
	answer := c.result(p.name)
	result := provider.ImageResult{Model: r.Model, Images: c.images, Usage: answer.Usage}
	if len(c.images) == 0 {
		e := call.Failed("no_image", "the model made no image: "+answer.Text)
		e.Kind = provider.Refused
		e.Usage = answer.Usage
		return result, e
	}
	return result, nil
}

func (p *Provider) imagen(ctx context.Context, r provider.ImageRequest) (provider.ImageResult, error) {
	result := provider.ImageResult{Model: r.Model}
	options, err := optionsOf(r.Options)
	switch {
	case err != nil:
		return result, p.badRequest(err)
	case len(r.Images) > 0:
		return result, p.badRequest(fmt.Errorf("%s takes no images to start from", r.Model))
	case r.Size != "":
		return result, p.badRequest(fmt.Errorf("%s takes no size; give its aspect ratio in options", r.Model))
	}
	config := &genai.GenerateImagesConfig{HTTPOptions: options, NumberOfImages: int32(min(max(1, r.N), 16))}
	ctx, call := p.transport.Begin(ctx)
	response, err := p.client.Models.GenerateImages(ctx, r.Model, r.Prompt, config)
	if broke := call.Broke(ctx); broke != nil {
		return result, broke
	}
	if err != nil {
		return result, p.explain(ctx, call, err)
	}
	for _, image := range response.GeneratedImages {
		if image != nil && image.Image != nil && len(image.Image.ImageBytes) > 0 {
			result.Images = append(result.Images,
				provider.Part{MIME: image.Image.MIMEType, Base64: encode(image.Image.ImageBytes)})
		}
	}
	if len(result.Images) == 0 {
		e := call.Failed("no_image", "the model made no image that its filters let pass")
		e.Kind = provider.Refused
		return result, e
	}
	return result, nil
}
