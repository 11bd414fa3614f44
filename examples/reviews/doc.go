// Package reviews holds customer reviews in sixteen languages, written for
// demonstrations and tests of the project: each has its language and the
// sentiment a reader would find in it.
package reviews

import (
	"bytes"
	_ "embed"
	"fmt"

	"github.com/go-json-experiment/json"
)

//go:embed reviews.jsonl
var lines []byte

// Review is one customer's review.
type Review struct {
	ID   string `json:"id"`
	User string `json:"user"`
	// Lang is ISO 639-1.
	Lang string `json:"lang"`
	// Sentiment is positive, negative or neutral.
	Sentiment string `json:"sentiment"`
	Text      string `json:"text"`
}

// All are the reviews in the order of the file, languages and users mixed.
func All() ([]Review, error) {
	var all []Review
	for i, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
		var r Review
		if err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("read review in line %d: %w", i+1, err)
		}
		all = append(all, r)
	}
	return all, nil
}
