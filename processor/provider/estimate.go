package provider

import (
	"sync"

	"github.com/aiecs/tasklane/schemas"
)

// bytesPerToken is what a token is about, in English and most models. What is learned per model corrects it.
const bytesPerToken = 3.5

// imageTokens is what an image is taken for. Providers count by its size, which is not known before.
const imageTokens = 1000

// maxLearned bounds the models that are learned about; tasks may name any.
const maxLearned = 1024

// estimator guesses how many tokens a text has: its bytes by bytesPerToken, by a ratio that is learned per model.
type estimator struct {
	mu     sync.Mutex
	ratios map[string]float64
}

func newEstimator() *estimator { return &estimator{ratios: map[string]float64{}} }

// tokens is how many tokens so many bytes are.
func (e *estimator) tokens(model string, bytes int) int64 {
	e.mu.Lock()
	ratio, known := e.ratios[model]
	e.mu.Unlock()
	if !known {
		ratio = 1
	}
	return int64(float64(bytes)/bytesPerToken*ratio + 0.999)
}

// learn takes in what so many bytes really were.
func (e *estimator) learn(model string, bytes int, tokens int64) {
	if bytes < 32 || tokens <= 0 {
		return // what a request has beside its text would weigh too much
	}
	seen := min(max(float64(tokens)/(float64(bytes)/bytesPerToken), 0.1), 10)
	e.mu.Lock()
	defer e.mu.Unlock()
	before, known := e.ratios[model]
	switch {
	case known:
		e.ratios[model] = before + (seen-before)*0.2
	case len(e.ratios) < maxLearned:
		e.ratios[model] = seen
	}
}

// size is how many bytes of text a request has, and how many tokens its images are.
func (r *Request) size() (bytes int, images int64) {
	bytes = len(r.Instructions) + len(r.Tools)
	if r.Schema != nil {
		bytes += len(r.Schema.Schema)
	}
	for _, m := range r.Messages {
		bytes += 8
		for _, part := range m.Parts {
			bytes += len(part.Text)
			if part.Image() {
				images += imageTokens
			}
		}
		for _, call := range m.ToolCalls {
			bytes += len(call.Name) + len(call.Arguments)
		}
	}
	return bytes, images
}

// estimated is the usage of a request whose provider did not tell.
func (e *estimator) estimated(model string, input int64, answer, reasoning int) *schemas.Usage {
	u := &schemas.Usage{Model: model, InputTokens: input, ReasoningTokens: e.tokens(model, reasoning), Estimated: true}
	u.OutputTokens = e.tokens(model, answer) + u.ReasoningTokens
	return u
}
