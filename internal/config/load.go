package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// Sources are where settings come from. The environment wins over the file, Limits over
// both.
type Sources struct {
	// Path is the file; none if empty.
	Path string
	// Lookup reads the environment: see [Variables].
	Lookup func(name string) (value string, ok bool)
	// Limits replace those of the file for the same models of a provider, for everybody.
	Limits []Limit
	// Subprocesses, HTTPServices and RemoteServices replace those of the file with the same name.
	Subprocesses   map[string]Subprocess
	HTTPServices   map[string]HTTPService
	RemoteServices map[string]RemoteService
}

// Load puts the sources together. Files that the file names for secrets are taken from
// its directory. The error is an *[Error], or says why the file cannot be read.
func Load(from Sources) (*Settings, error) {
	d := &decoder{file: from.Path, places: map[string]place{}}
	content, err := read(from.Path)
	if err != nil {
		return nil, err
	}
	settings := d.settings(content)
	settings.eachSecret(func(s *Secret) { s.below(filepath.Dir(from.Path)) })
	d.add(settings, from)
	if len(d.problems) == 0 {
		settings.check(d.at)
	}
	if len(d.problems) == 0 {
		settings.checkProviders(d.at)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return settings, nil
}

func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path) //nolint:gosec // named by the operator
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return content, nil
}

// eachSecret gives every secret to a function that may change it.
func (s *Settings) eachSecret(do func(*Secret)) {
	for name, p := range s.Providers {
		do(&p.APIKey)
		p.Headers = eachHeader(p.Headers, do)
		s.Providers[name] = p
	}
	for name, h := range s.HTTPServices {
		do(&h.Token)
		h.Headers = eachHeader(h.Headers, do)
		s.HTTPServices[name] = h
	}
	for name, r := range s.RemoteServices {
		do(&r.Token)
		s.RemoteServices[name] = r
	}
	do(&s.Artifacts.S3.AccessKey)
	do(&s.Artifacts.S3.SecretKey)
}

// eachHeader is a copy of headers, each of which a function may change.
func eachHeader(headers map[string]Secret, do func(*Secret)) map[string]Secret {
	headers = maps.Clone(headers)
	for name, secret := range headers {
		do(&secret)
		headers[name] = secret
	}
	return headers
}

// CheckSecrets says of all secrets whether they are to be had now.
func (s *Settings) CheckSecrets(lookup func(name string) (value string, ok bool)) error {
	var missing error
	s.eachSecret(func(secret *Secret) {
		if _, err := secret.Resolve(lookup); err != nil {
			missing = errors.Join(missing, err)
		}
	})
	return missing
}

// Loose are warnings of files with secrets that others than their owner can read; path is
// the configuration's own file.
func (s *Settings) Loose(path string) []string {
	var warnings []string
	note := func(path string) {
		if warning := secretfile.Loose(path); warning != "" && !slices.Contains(warnings, warning) {
			warnings = append(warnings, warning)
		}
	}
	s.eachSecret(func(secret *Secret) {
		switch {
		case secret.Literal():
			note(path)
		case secret.File() != "":
			note(secret.File())
		}
	})
	slices.Sort(warnings)
	return warnings
}
