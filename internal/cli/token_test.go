package cli

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/auth"
)

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyPair is a private key of the kind, and its public half, in files.
func keyPair(t *testing.T, kind string) (private, public string) {
	t.Helper()
	var key, half any
	switch kind {
	case "RSA":
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, half = k, k.Public()
	case "EC":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, half = k, k.Public()
	case "Ed25519":
		p, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, half = k, p
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	of, err := x509.MarshalPKIXPublicKey(half)
	if err != nil {
		t.Fatal(err)
	}
	return secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))),
		secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: of})))
}

func verifier(t *testing.T, c auth.Config) *auth.Verifier {
	t.Helper()
	c.Mode = auth.ModeJWT
	v, err := auth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A token of every kind of key is taken by servers that have its other half.
func TestTokensAreTakenByServers(t *testing.T) {
	for _, kind := range []string{"RSA", "EC", "Ed25519"} {
		private, public := keyPair(t, kind)
		got := new(terminal).do(t, "token --user alice --private-key-file "+private)
		if got.err != nil {
			t.Fatalf("%s: %v", kind, got.err)
		}
		who, refused := verifier(t, auth.Config{PublicKeyFiles: []string{public}}).Token(t.Context(),
			strings.TrimSpace(got.stdout))
		if refused != nil || who.User != "alice" || who.Admin {
			t.Errorf("%s: %+v, %v", kind, who, refused)
		}
	}
	old, young := secretFile(t, strings.Repeat("o", 32)), secretFile(t, strings.Repeat("n", 32)+"\n")
	got := new(terminal).do(t, "token --user alice --auth-secret-file "+old+","+young)
	for path, taken := range map[string]bool{old: true, young: false} { // it signs with the first
		_, refused := verifier(t, auth.Config{SecretFiles: []string{path}}).Token(t.Context(), strings.TrimSpace(got.stdout))
		if (refused == nil) != taken {
			t.Errorf("%v", refused)
		}
	}
}

// What is asked for is what servers read out of the token.
func TestTokensSayWhatWasAskedFor(t *testing.T) {
	secret := secretFile(t, strings.Repeat("s", 40))
	now := time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		f := &tokenFlags{
			SigningFlags: SigningFlags{
				SecretFiles: []string{secret}, Issuer: rapid.SampledFrom([]string{"", "me"}).Draw(rt, "issuer"),
				Audience: rapid.SampledFrom([]string{"", "tasklane"}).Draw(rt, "audience"), AdminScope: "ops",
			},
			user:   rapid.SampledFrom([]string{"alice", "a b/c", "用户", strings.Repeat("x", 200)}).Draw(rt, "user"),
			admin:  rapid.Bool().Draw(rt, "admin"),
			scopes: rapid.SliceOfN(rapid.SampledFrom([]string{"read", "write"}), 0, 3).Draw(rt, "scopes"),
			lasts:  time.Duration(rapid.Int64Range(2, int64(longestToken/time.Second)).Draw(rt, "lasts")) * time.Second,
		}
		text, err := f.mint(now)
		if err != nil {
			rt.Fatal(err)
		}
		v := verifier(t, auth.Config{SecretFiles: []string{secret}, Issuer: f.Issuer, Audience: f.Audience,
			AdminScope: "ops"})
		who, refused := v.Token(t.Context(), text)
		if refused != nil || who.User != f.user || who.Admin != f.admin {
			rt.Fatalf("%+v: %+v, %v", f, who, refused)
		}
		if off := who.Expires.Sub(now.Add(f.lasts)); off < -time.Second || off > time.Second {
			rt.Fatalf("it ends %v off", off)
		}
	})
}

func TestTokensThatCannotBeMade(t *testing.T) {
	secret := secretFile(t, strings.Repeat("s", 40))
	_, public := keyPair(t, "Ed25519")
	for line, says := range map[string]string{
		"":             "--user is missing",
		"--user alice": "nothing to sign with",
		"--user alice --auth-secret-file " + secret + " --for 1ms":                               "must be 1s to",
		"--user alice --auth-secret-file " + secret + " --for 9000h":                             "must be 1s to",
		"--user alice --auth-secret-file " + secret + "-gone":                                    "no such file",
		"--user alice --auth-secret-file " + public:                                              "--auth-public-key-file",
		"--user alice --private-key-file " + public:                                              "want PRIVATE KEY",
		"--user alice --private-key-file " + secret:                                              "not PEM",
		"--user alice --auth-secret-file " + secret + " --scope " + strings.Repeat("x", 9000):    "fewer scopes",
		"--user " + strings.Repeat("x", 201) + " --auth-secret-file " + secret:                   "--user",
		"--user alice --auth-secret-file " + secretFile(t, "short"):                              "at least 32",
		"--user alice --auth-secret-file " + secret + " --private-key-file " + secret + "-gone":  "no such file",
		"alice --auth-secret-file " + secret:                                                     "--user alice",
		"--user alice --auth-secret-file " + secret + " --for 10 --scope read,write,delete,open": "time",
	} {
		got := new(terminal).do(t, "token "+line)
		got.fails(t, says)
		if got.stdout != "" {
			t.Errorf("%s: printed %q", line, got.stdout)
		}
	}
}
