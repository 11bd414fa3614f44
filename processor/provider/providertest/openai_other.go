package providertest

// pixel is a PNG of one transparent pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

// document is a protocol without streams.
type document struct {
	body func() any
	fail func(status int, code, message string) any
}

func (document) head() []byte                      { return nil }
func (document) piece(int, string) []byte          { return nil }
func (document) tail() []byte                      { return nil }
func (document) failed(int, string, string) []byte { return nil }
func (d document) whole() any                      { return d.body() }
func (d document) failure(status int, code, message string) any {
	return d.fail(status, code, message)
}

// embeddingsOf answers with a vector a text: its length, its number, and 0.5.
func embeddingsOf(c *call) func(Answer) protocol {
	texts, many := c.request["input"].([]any)
	if !many {
		texts = []any{c.request["input"]}
	}
	return func(a Answer) protocol {
		return document{fail: openAIFailure, body: func() any {
			var data []any
			for i, text := range texts {
				data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vectorOf(stringOf(text), i)})
			}
			object := map[string]any{"object": "list", "model": c.model, "data": data}
			if !a.NoUsage {
				object["usage"] = map[string]any{"prompt_tokens": a.Usage.Input, "total_tokens": a.Usage.Input}
			}
			return object
		}}
	}
}

func vectorOf(text string, i int) []float64 { return []float64{float64(len(text)), float64(i), 0.5} }

func imagesOf(c *call) func(Answer) protocol {
	return func(a Answer) protocol {
		return document{fail: openAIFailure, body: func() any {
			var data []any
			for _, image := range a.images() {
				data = append(data, map[string]any{"b64_json": image})
			}
			object := map[string]any{"created": fakeTime, "data": data, "output_format": "png"}
			if !a.NoUsage {
				u := a.Usage
				object["usage"] = map[string]any{
					"input_tokens": u.Input, "output_tokens": u.Output, "total_tokens": u.Input + u.Output,
					"input_tokens_details": map[string]any{"text_tokens": u.Input, "image_tokens": 0},
				}
			}
			return object
		}}
	}
}

func (a Answer) images() []string {
	if len(a.Images) == 0 {
		return []string{pixel}
	}
	return a.Images
}
