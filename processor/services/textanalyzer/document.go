package textanalyzer

import "context"

// document is a text cut into tokens and sentences.
type document struct {
	text      string
	tokens    []token
	sentences []sentence
}

func newDocument(ctx context.Context, text string) (*document, error) {
	tokens, err := tokenize(ctx, text)
	if err != nil {
		return nil, err
	}
	return &document{text: text, tokens: tokens, sentences: sentences(tokens)}, nil
}
