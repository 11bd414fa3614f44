package textanalyzer

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Match is a place that moderation objects to.
type Match struct {
	Category string `json:"category"`
	// Text is as it stands in the text, Start its byte offset there.
	Text  string `json:"text"`
	Start int    `json:"start"`
}

// maxMatches bounds the places that are reported; categories are complete.
const maxMatches = 20

// allowed is the category of phrases that hold listed words but are harmless.
const allowed = "allow"

// moderationCategories are the categories, sorted.
func moderationCategories() []string {
	return []string{"harassment", "hate", "illicit", "self_harm", "sexual", "violence"}
}

// wordlist is one language's moderation list: terms with their categories.
type wordlist struct {
	code  string
	terms *dictionary[string]
}

func parseWordlist(code, text string) (*wordlist, error) {
	w := &wordlist{code: code, terms: newDictionary[string]()}
	sections := map[string]section{}
	for _, category := range append(moderationCategories(), allowed) {
		sections[category] = func(_ float64, word string) {
			w.terms.add(word, category)
			// Written without spaces, or letter by letter with spaces.
			if squeezed := strings.ReplaceAll(word, "_", ""); squeezed != word && len(squeezed) >= 7 {
				w.terms.add(squeezed, category)
			}
		}
	}
	if err := parseSections(text, sections); err != nil {
		return nil, fmt.Errorf("read moderation list %s: %w", code, err)
	}
	return w, nil
}

// wordlists are the lists to read for a text: its language's and the common
// one. If the language is unknown or has no list, English is taken too.
func (lib *library) wordlists(d detection) []*wordlist {
	lists := []*wordlist{lib.moderation["any"]}
	own := lib.moderation[d.Guess]
	if own != nil {
		lists = append(lists, own)
	}
	if own == nil || d.Code == uncertain && d.Guess != "en" {
		lists = append(lists, lib.moderation["en"])
	}
	return lists
}

// moderate finds listed words and phrases, also where they are disguised by
// look-alike characters, digits, stretched letters or spaces.
func (lib *library) moderate(ctx context.Context, doc *document, d detection) ([]string, []Match, error) {
	found := findings{text: doc.text, categories: map[string]bool{}, seen: map[int]bool{}}
	pace := pacer{ctx: ctx}
	disguised, err := unmask(ctx, doc.text)
	if err != nil {
		return nil, nil, err
	}
	for _, list := range lib.wordlists(d) {
		plain := segment(doc.tokens, list.terms, false)
		for _, tokens := range append([][]token{plain}, disguised...) {
			if err := found.scan(&pace, tokens, list); err != nil {
				return nil, nil, err
			}
		}
	}
	categories := make([]string, 0, len(found.categories))
	for c := range found.categories {
		categories = append(categories, c)
	}
	slices.Sort(categories)
	slices.SortStableFunc(found.matches, func(a, b Match) int { return a.Start - b.Start })
	return categories, found.matches, nil
}

// findings collects matches; seen are the places taken.
type findings struct {
	text       string
	categories map[string]bool
	matches    []Match
	seen       map[int]bool
}

func (f *findings) scan(pace *pacer, tokens []token, list *wordlist) error {
	for i := 0; i < len(tokens); {
		if err := pace.step(); err != nil {
			return err
		}
		if tokens[i].kind != wordToken && tokens[i].kind != runToken {
			i++
			continue
		}
		category, n, ok := list.terms.match(tokens, i)
		if ok && category != allowed {
			f.note(category, tokens[i].start, tokens[i+n-1].end)
		}
		if ok && category == allowed {
			f.excuse(tokens[i : i+n])
		}
		i += n
	}
	return nil
}

func (f *findings) note(category string, start, end int) {
	if f.seen[start] {
		return
	}
	f.seen[start] = true
	f.categories[category] = true
	if len(f.matches) < maxMatches {
		f.matches = append(f.matches, Match{Category: category, Text: f.text[start:end], Start: start})
	}
}

// excuse takes places of a harmless phrase, so that no other list or disguise
// objects to them.
func (f *findings) excuse(tokens []token) {
	for _, t := range tokens {
		f.seen[t.start] = true
	}
}
