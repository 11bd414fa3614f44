package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const instanceFile = "instance-id"

// instanceID is the name of this installation of a role: the content of
// <data-dir>/instance-id, which is written the first time. It stays the same
// over restarts, so that events and marks of one worker can be told from those
// of another.
func instanceID(dataDir string) (string, error) {
	if err := makeDataDir(dataDir); err != nil {
		return "", err
	}
	path := filepath.Join(dataDir, instanceFile)
	if id, err := readInstanceID(path); !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id, err := newInstanceID()
	if err != nil {
		return "", err
	}
	if err := writeOnce(path, id+"\n"); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write instance id: %w", err)
	}
	return readInstanceID(path) // of whoever was first
}

func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("create data directory: %w; choose another with --data-dir", err)
	}
	return nil
}

func readInstanceID(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the operator's own directory
	if err != nil {
		return "", fmt.Errorf("read instance id: %w", err)
	}
	id := strings.TrimSpace(string(content))
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`).MatchString(id) {
		return "", fmt.Errorf("read instance id: %s holds %.50q; remove the file to have a new one made", path, id)
	}
	return id, nil
}

func newInstanceID() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	host = regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(host, "-")
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make instance id: %w", err)
	}
	return host[:min(len(host), 60)] + "-" + hex.EncodeToString(random[:]), nil
}

// writeOnce makes the file appear with its whole content or not at all, and
// fails with fs.ErrExist if it is there.
func writeOnce(path, content string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.WriteString(content)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return fmt.Errorf("write %s: %w", temporary.Name(), err)
	}
	if err := os.Link(temporary.Name(), path); err != nil {
		return fmt.Errorf("name file: %w", err)
	}
	return nil
}
