// Package secretfile reads what only this installation may know: passwords, keys
// and tokens, from files that their operator names.
package secretfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// MaxBytes bounds such a file.
const MaxBytes = 64 << 10

// Read reads a file. Links are followed: secrets are often mounted through them.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // named by the operator
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what the file is for
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what the file is for
	}
	if len(content) > MaxBytes {
		return nil, fmt.Errorf("%s is longer than %d bytes: it is no such file", path, MaxBytes)
	}
	return content, nil
}

// ReadText reads a secret that is the file's whole text, without the line end
// after it.
func ReadText(path string) (string, error) {
	content, err := Read(path)
	if err != nil {
		return "", err
	}
	text := bytes.TrimRight(content, "\r\n")
	if len(text) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return string(text), nil
}

// Loose is why others than its owner can get at a secret file, "" if they cannot
// or it is not there.
func Loose(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o700 == 0 {
		return ""
	}
	return fmt.Sprintf("%s holds a secret and others can get at it (mode %#o): chmod 600 %s, or "+
		"defaultMode: 0400 of the Kubernetes volume",
		path, info.Mode().Perm(), path)
}
