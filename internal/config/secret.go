package config

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// hidden stands for a literal secret wherever one is printed.
const hidden = "<hidden>"

const (
	envPrefix  = "env:"
	filePrefix = "file:"
)

// Secret is where a secret is to be had: env:NAME, file:PATH, or the secret itself, which
// no form of printing shows.
type Secret struct{ text string }

// SecretOf is the secret that is written so.
func SecretOf(text string) Secret { return Secret{text} }

// IsZero reports whether no secret is given.
func (s Secret) IsZero() bool { return s.text == "" }

// Literal reports whether the settings hold the secret itself.
func (s Secret) Literal() bool {
	return s.text != "" && s.text != hidden && !strings.HasPrefix(s.text, envPrefix) && s.File() == ""
}

// File is the file that holds the secret, "" if none does.
func (s Secret) File() string {
	path, _ := strings.CutPrefix(s.text, filePrefix)
	if path == s.text {
		return ""
	}
	return path
}

// Resolve is the secret itself, "" if none is given; lookup reads the environment. An
// error says where the secret was to come from and never holds one.
func (s Secret) Resolve(lookup func(name string) (value string, ok bool)) (string, error) {
	switch name, env := strings.CutPrefix(s.text, envPrefix); {
	case s.text == hidden:
		return "", fmt.Errorf("%s only stands for a secret that was printed; write %sNAME, %sPATH or the secret",
			hidden, envPrefix, filePrefix)
	case env:
		if value, ok := lookup(name); ok && value != "" {
			return value, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set", name)
	case s.File() != "":
		text, err := secretfile.ReadText(s.File())
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return text, nil
	}
	return s.text, nil
}

// parse takes the secret's written form.
func (s *Secret) parse(text string) string {
	name, env := strings.CutPrefix(text, envPrefix)
	switch {
	case env && !isVariable(name):
		return "must name a variable after " + envPrefix + ", for example env:OPENAI_API_KEY"
	case text == filePrefix:
		return "must name a file after " + filePrefix + ", for example file:/run/secrets/openai"
	case strings.ContainsAny(text, "\r\n\x00"):
		return "must be one line; a secret of several lines goes into a file, file:PATH"
	}
	s.text = text
	return ""
}

func isVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// below makes a relative file one of a directory.
func (s *Secret) below(dir string) {
	if path := s.File(); path != "" && !filepath.IsAbs(path) {
		s.text = filePrefix + filepath.Join(dir, path)
	}
}

// String is where the secret is to be had, or that it is hidden.
func (s Secret) String() string {
	if s.Literal() {
		return hidden
	}
	return s.text
}

// GoString is the same, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is the same, for log lines.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is the same, for JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
