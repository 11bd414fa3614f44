package textanalyzer

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed lexicon/*.txt moderation/*.txt
var lists embed.FS

// library is everything that is read from the embedded lists.
type library struct {
	lexicons   map[string]*lexicon
	emoji      map[rune]float64
	evidence   *evidence
	english    *english
	moderation map[string]*wordlist
}

// loadLibrary reads the lists. It takes some tens of milliseconds.
func loadLibrary() (*library, error) {
	lib := &library{lexicons: map[string]*lexicon{}, moderation: map[string]*wordlist{}}
	err := eachList("lexicon", func(code, text string) error {
		if code == "emoji" {
			return lib.readEmoji(text)
		}
		l, err := parseLexicon(code, text)
		lib.lexicons[code] = l
		return err
	})
	if err != nil {
		return nil, err
	}
	err = eachList("moderation", func(code, text string) error {
		w, err := parseWordlist(code, text)
		lib.moderation[code] = w
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, code := range []string{"zh", "ja"} {
		lib.lexicons[code].words.joined = true
		lib.moderation[code].terms.joined = true
	}
	lib.english = newEnglish(lib.lexicons["en"], lib.emoji)
	lib.evidence = newEvidence(lib.lexicons, lib.english)
	return lib, nil
}

func eachList(dir string, read func(name, text string) error) error {
	files, err := lists.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, f := range files {
		text, err := lists.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
		if err := read(strings.TrimSuffix(f.Name(), ".txt"), string(text)); err != nil {
			return err
		}
	}
	return nil
}

func (lib *library) readEmoji(text string) error {
	lib.emoji = map[rune]float64{}
	valued := func(sign float64) section {
		return func(weight float64, symbol string) {
			for _, r := range symbol {
				lib.emoji[r] = sign * weight
				return // what follows is a variation selector
			}
		}
	}
	if err := parseSections(text, map[string]section{"positive": valued(1), "negative": valued(-1)}); err != nil {
		return fmt.Errorf("read emoji: %w", err)
	}
	return nil
}
