package webhooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/secretfile"
)

func TestReadSecrets(t *testing.T) {
	good := strings.Repeat("a", 32)
	for content, want := range map[string]int{
		good: 1, good + "\n": 1, "# old\r\n" + good + "\r\n\r\n# new\r\n  whsec_" + good + " \r\n": 2,
		"": 0, "# only\n": 0, "short": 0, good + "\nnot base64!": 0, strings.Repeat(good+"\n", maxSecrets+1): 0,
		strings.Repeat("x", secretfile.MaxBytes+1): 0,
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		secrets, err := ReadSecrets(path)
		if len(secrets) != want || (err == nil) != (want > 0) {
			t.Errorf("%.60q: %d secrets, %v", content, len(secrets), err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), good)) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestOwnSecretIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "webhook-secret")
	first, err := OwnSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OwnSecret(path)
	if err != nil || len(first) != 1 || len(second) != 1 || first[0].Text() != second[0].Text() {
		t.Errorf("first %d, then %d, %v", len(first), len(second), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// An empty file is a mistake to be told, not a secret to be replaced.
	if _, err := OwnSecret(path); err == nil {
		t.Error("an empty file passes")
	}
}
