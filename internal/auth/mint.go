package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Minter signs tokens, for development and for programs of one's own.
type Minter struct {
	alg      algorithm
	material any
}

// NewSecretMinter signs with the secret in a file (HS256).
func NewSecretMinter(path string) (*Minter, error) {
	secret, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	return &Minter{hs256, secret}, nil
}

// NewKeyMinter signs with the private key in a PEM file; its kind decides the
// algorithm.
func NewKeyMinter(path string) (*Minter, error) {
	content, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	signer, err := parsePrivateKey(content)
	if err != nil {
		return nil, fmt.Errorf("read private key: %s: %w", path, err)
	}
	k, err := publicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("read private key: %s: %w", path, err)
	}
	return &Minter{k.alg, signer}, nil
}

// Grant is what a token says.
type Grant struct {
	User     string
	Scopes   []string
	Issuer   string
	Audience string
	// From and For are when it becomes valid and for how long.
	From time.Time
	For  time.Duration
}

// Mint signs a token.
func (m *Minter) Mint(g Grant) (string, error) {
	said := jwt.MapClaims{"sub": g.User, "iat": g.From.Unix(), "exp": g.From.Add(g.For).Unix()}
	for name, value := range map[string]string{"scope": strings.Join(g.Scopes, " "), "iss": g.Issuer, "aud": g.Audience} {
		if value != "" {
			said[name] = value
		}
	}
	text, err := jwt.NewWithClaims(m.alg.method(), said).SignedString(m.material)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}
