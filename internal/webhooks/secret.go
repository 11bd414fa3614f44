package webhooks

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aiecs/tasklane/schemas"
)

// maxSecretFileBytes bounds a file of secrets.
const maxSecretFileBytes = 64 << 10

// ReadSecrets reads a file with one secret a line, see [schemas.ParseWebhookSecrets].
func ReadSecrets(path string) ([]schemas.WebhookSecret, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFileBytes))
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %w", err)
	}
	secrets, err := parseSecrets(content)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %s: %w", path, err)
	}
	return secrets, nil
}

func parseSecrets(content []byte) ([]schemas.WebhookSecret, error) {
	secrets, err := schemas.ParseWebhookSecrets(content)
	if err == nil && len(secrets) > maxSecrets {
		return nil, fmt.Errorf("there are %d secrets in it: use one, or up to %d while they are changed", len(secrets), maxSecrets)
	}
	return secrets, err
}

// secretBytes is the length of a secret that is made here.
const secretBytes = 32

// OwnSecret reads the file, or makes it with a new secret, readable by its owner
// alone.
func OwnSecret(path string) ([]schemas.WebhookSecret, error) {
	secrets, err := ReadSecrets(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secrets, err
	}
	key := make([]byte, secretBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	secret, err := schemas.NewWebhookSecret(key)
	if err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	// Under another name first: a crash must not leave half a secret.
	draft := path + ".new"
	if err := os.WriteFile(draft, []byte(secret.Text()+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write webhook secret: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return nil, fmt.Errorf("write webhook secret: %w", err)
	}
	return []schemas.WebhookSecret{secret}, nil
}
