package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// languageCount is a line of the outcome.
type languageCount struct {
	reviews, right               int
	positive, negative, neutral  int
	sentimentKnown, sentimentHit int
}

// printOutcome prints what the reviews came to.
func printOutcome(to io.Writer, t *tally, took time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	printLanguages(&text, t)
	printUsers(&text, t)
	fmt.Fprintf(&text, "%d tasks and %d events in %.2f s: %.0f tasks/s\n",
		len(t.results), t.events, took.Seconds(), float64(len(t.results))/max(took.Seconds(), 0.001))
	if _, err := io.WriteString(to, text.String()); err != nil {
		return fmt.Errorf("print outcome: %w", err)
	}
	return nil
}

func printLanguages(to io.Writer, t *tally) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) { _, _ = fmt.Fprintf(table, strings.Repeat("%v\t", len(cells))+"\n", cells...) }
	_, _ = fmt.Fprintln(to)
	line("language", "reviews", "detected right", "positive", "negative", "neutral", "sentiment as written")
	counts := countLanguages(t)
	var sum languageCount
	for _, language := range slices.Sorted(maps.Keys(counts)) {
		c := counts[language]
		line(language, c.reviews, c.right, c.positive, c.negative, c.neutral,
			fmt.Sprintf("%d/%d", c.sentimentHit, c.sentimentKnown))
		sum.add(c)
	}
	line("all", sum.reviews, sum.right, sum.positive, sum.negative, sum.neutral,
		fmt.Sprintf("%d/%d", sum.sentimentHit, sum.sentimentKnown))
	_ = table.Flush() // a strings.Builder takes everything
	_, _ = fmt.Fprintln(to, "\nThe reviews are examples written for this project, as the analyzer's word lists were:\n"+
		"these figures do not measure how often it is right on other texts.")
}

func (c *languageCount) add(o *languageCount) {
	c.reviews += o.reviews
	c.right += o.right
	c.positive += o.positive
	c.negative += o.negative
	c.neutral += o.neutral
	c.sentimentKnown += o.sentimentKnown
	c.sentimentHit += o.sentimentHit
}

// countLanguages sorts the results by the language the review was written in.
func countLanguages(t *tally) map[string]*languageCount {
	counts := make(map[string]*languageCount)
	for id, j := range t.jobs {
		c := counts[j.review.Lang]
		if c == nil {
			c = new(languageCount)
			counts[j.review.Lang] = c
		}
		got := t.results[id]
		if j.lane == schemas.LaneFast {
			c.reviews++
			if got.language == j.review.Lang {
				c.right++
			}
			continue
		}
		c.feel(got.sentiment, j.review.Sentiment)
	}
	return counts
}

func (c *languageCount) feel(got, written string) {
	switch got {
	case "positive":
		c.positive++
	case "negative":
		c.negative++
	case "neutral":
		c.neutral++
	}
	if written != "" {
		c.sentimentKnown++
		if got == written {
			c.sentimentHit++
		}
	}
}

func printUsers(to io.Writer, t *tally) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(table, "\nuser\ttasks\tended\t\n")
	for _, user := range t.users() {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t\n", user, t.own[user], t.doneOf[user])
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(to)
}
