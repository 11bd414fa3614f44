package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const testSecret = "a secret of more than thirty-two bytes, for tests"

// signers are the private keys of all tests; making an RSA key takes long.
var signers = sync.OnceValue(func() (s struct {
	rsa, other *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
}) {
	s.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	s.other, _ = rsa.GenerateKey(rand.Reader, 2048)
	s.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, s.ed, _ = ed25519.GenerateKey(rand.Reader)
	return s
})

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signer signs what stands before a token's last dot.
type signer func(text string) []byte

func hmacWith(secret []byte) signer {
	return func(text string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

func rsaWith(k *rsa.PrivateKey) signer {
	return func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		signature, _ := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
		return signature
	}
}

// ecWith signs in the form of JWS: both numbers, each with 32 bytes.
func ecWith(k *ecdsa.PrivateKey) signer {
	return func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func edWith(k ed25519.PrivateKey) signer {
	return func(text string) []byte { return ed25519.Sign(k, []byte(text)) }
}

func unsigned(string) []byte { return nil }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge makes a token of any header and claims.
func forge(header, claims string, sign signer) string {
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	return text + "." + encode(sign(text))
}

// said is claims of alice, valid for an hour, with others behind.
func said(more string) string {
	return fmt.Sprintf(`{"sub":"alice","exp":%d%s}`, time.Now().Add(time.Hour).Unix(), more)
}

func writeFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(path, content, 0o600))
	return path
}

func secretFile(t testing.TB) string { t.Helper(); return writeFile(t, []byte(testSecret+"\n")) }

func publicPEM(t testing.TB, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func privatePEM(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// newVerifier has the secret and one public key of each kind, unless told
// otherwise.
func newVerifier(t testing.TB, change ...func(*Config)) *Verifier {
	t.Helper()
	s := signers()
	keys := append(publicPEM(t, s.rsa.Public()), publicPEM(t, s.ec.Public())...)
	keys = append(keys, publicPEM(t, s.ed.Public())...)
	c := Config{
		Mode: ModeJWT, SecretFiles: []string{secretFile(t)}, PublicKeyFiles: []string{writeFile(t, keys)},
		Issuer: "https://id.example.com", Audience: "tasklane",
	}
	for _, f := range change {
		f(&c)
	}
	v, err := New(c)
	must(t, err)
	return v
}

// good are the members that newVerifier asks for beside sub and exp.
const good = `,"iss":"https://id.example.com","aud":"tasklane"`

func (v *Verifier) mustRefuse(t testing.TB, token string, why Reason) {
	t.Helper()
	who, refused := v.Token(t.Context(), token)
	if refused == nil {
		t.Fatalf("let in as %+v, want %q", who, why)
	}
	if refused.Reason != why || who != (Identity{}) {
		t.Errorf("refused for %q with %+v, want %q and nobody", refused.Reason, who, why)
	}
}

func (v *Verifier) mustAccept(t testing.TB, token string) Identity {
	t.Helper()
	who, refused := v.Token(t.Context(), token)
	if refused != nil {
		t.Fatalf("refused: %v", refused)
	}
	return who
}
