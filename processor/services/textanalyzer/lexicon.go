package textanalyzer

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// role is what a word does to the valence of words near it. Words can have
// several.
type role uint8

const (
	negates      role = 1 << iota // what follows it
	negatesAfter                  // what stands before it
	intensifies
	diminishes
	contrasts // what comes after it counts more
)

// entry is what a lexicon knows of a word.
type entry struct {
	valence float64 // -4 to 4
	valued  bool
	role    role
}

// lexicon is one language's words. It is immutable after it was read.
type lexicon struct {
	code  string
	stop  map[string]struct{}
	words *dictionary[entry]
	// clitics are particles written together with the word that follows
	// (clitics) or goes before (endings); the longest comes first.
	clitics, endings []string
	// vocabulary are all words, as evidence for the language.
	vocabulary []string
}

// sentimental reports whether the lexicon knows more than stop words.
func (l *lexicon) sentimental() bool { return l != nil && len(l.words.exact) > 0 }

func (l *lexicon) isStop(word string) bool {
	_, ok := l.stop[word]
	return ok
}

// section reads the words of one section into the lexicon.
type section func(weight float64, word string)

// parseLexicon reads a language's word list: lines of words under [section]
// headings, in the sentiment sections with their valence before a colon.
func parseLexicon(code, text string) (*lexicon, error) {
	l := &lexicon{code: code, stop: map[string]struct{}{}, words: newDictionary[entry]()}
	entries := map[string]entry{}
	sections := l.sections(entries)
	if err := parseSections(text, sections); err != nil {
		return nil, fmt.Errorf("read lexicon %s: %w", code, err)
	}
	// As-written spellings go first, so that no folded one takes their place.
	for word, e := range entries {
		l.words.addSpelling(strings.ToLower(strings.ReplaceAll(word, "_", " ")), e)
	}
	for _, word := range l.vocabulary {
		// German "schön" must not make "schon" a word of praise.
		if !l.isStop(fold(strings.ToLower(word))) {
			l.words.add(word, entries[word])
		}
	}
	return l, nil
}

func (l *lexicon) sections(entries map[string]entry) map[string]section {
	note := func(word string, change func(*entry)) {
		e, known := entries[word]
		change(&e)
		entries[word] = e
		if !known {
			l.vocabulary = append(l.vocabulary, word)
		}
	}
	valued := func(sign float64) section {
		return func(weight float64, word string) {
			note(word, func(e *entry) { e.valence, e.valued = sign*weight, true })
		}
	}
	having := func(r role) section {
		return func(_ float64, word string) { note(word, func(e *entry) { e.role |= r }) }
	}
	return map[string]section{
		"stop":           func(_ float64, word string) { l.stop[strings.ToLower(word)] = struct{}{} },
		"positive":       valued(1),
		"negative":       valued(-1),
		"negation":       having(negates),
		"negation-after": having(negatesAfter),
		"intensifier":    having(intensifies),
		"diminisher":     having(diminishes),
		"contrast":       having(contrasts),
		"clitics":        func(_ float64, word string) { l.clitics = append(l.clitics, word) },
		"clitics-after":  func(_ float64, word string) { l.endings = append(l.endings, word) },
	}
}

// parseSections calls the section's function for every word of a list. "#"
// starts a comment line.
func parseSections(text string, sections map[string]section) error {
	var current section
	lines := bufio.NewScanner(strings.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			if current, ok = sections[strings.TrimSuffix(name, "]")]; !ok {
				return fmt.Errorf("line %d: unknown section %s", number, line)
			}
			continue
		}
		if current == nil {
			return fmt.Errorf("line %d: words before the first [section]", number)
		}
		weight, words, err := cutWeight(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		for _, word := range words {
			current(weight, word)
		}
	}
	return lines.Err()
}

func cutWeight(line string) (float64, []string, error) {
	before, after, ok := strings.Cut(line, ":")
	if !ok {
		return 0, strings.Fields(line), nil
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(before), 64)
	if err != nil || weight < 0 || weight > 4 {
		return 0, nil, fmt.Errorf("valence %q is not a number from 0 to 4", before)
	}
	return weight, strings.Fields(after), nil
}
