package webhooks

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/internal/secretfile"
	"github.com/aiecs/tasklane/schemas"
)

// ReadSecrets reads a file with one secret a line, see [schemas.ParseWebhookSecrets].
func ReadSecrets(path string) ([]schemas.WebhookSecret, error) {
	content, err := secretfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %w", err)
	}
	return secretsOf(path, content)
}

func secretsOf(path string, content []byte) ([]schemas.WebhookSecret, error) {
	secrets, err := parseSecrets(content)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %s: %w", path, err)
	}
	return secrets, nil
}

func parseSecrets(content []byte) ([]schemas.WebhookSecret, error) {
	secrets, err := schemas.ParseWebhookSecrets(content)
	if err == nil && len(secrets) > maxSecrets {
		return nil, fmt.Errorf("there are %d secrets in it: use one, or up to %d while they are changed", len(secrets),
			maxSecrets)
	}
	return secrets, err
}

// secretBytes is the length of a secret that is made here.
const secretBytes = 32

// OwnSecret reads the file, or makes it with a new secret, readable by its owner
// alone.
func OwnSecret(path string) ([]schemas.WebhookSecret, error) {
	content, err := datadir.ReadFile(path)
	if err == nil {
		return secretsOf(path, content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read webhook secret: %w", err)
	}
	key := make([]byte, secretBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	secret, err := schemas.NewWebhookSecret(key)
	if err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	if _, err := datadir.Make(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("make webhook secret: %w", err)
	}
	if err := datadir.WriteFile(path, []byte(secret.Text()+"\n")); err != nil {
		return nil, fmt.Errorf("write webhook secret: %w", err)
	}
	return []schemas.WebhookSecret{secret}, nil
}
