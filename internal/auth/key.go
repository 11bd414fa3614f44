package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// algorithm is a JWS alg. There are these and no others; "none" least of all.
type algorithm string

const (
	hs256 algorithm = "HS256"
	rs256 algorithm = "RS256"
	es256 algorithm = "ES256"
	edDSA algorithm = "EdDSA"
)

// algorithms are what a token may use at all. Which of them it may use is up to
// the key.
func algorithms() []algorithm { return []algorithm{hs256, rs256, es256, edDSA} }

func (a algorithm) method() jwt.SigningMethod { return jwt.GetSigningMethod(string(a)) }

// Sizes of RSA keys, in bits: below they are weak, above they are slow to check
// with, which whoever sends tokens could use.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// key is a key with the only algorithm it is for.
type key struct {
	alg algorithm
	// material is a []byte, *rsa.PublicKey, *ecdsa.PublicKey or
	// ed25519.PublicKey.
	material any
}

var errKeyKind = errors.New("want RSA, an EC key on P-256, or Ed25519")

// publicKey finds out what a public key is for.
func publicKey(material any) (key, error) {
	switch k := material.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key{}, fmt.Errorf("an RSA key of %d bits: want %d to %d", bits, minRSABits, maxRSABits)
		}
		if k.E < 3 || k.E%2 == 0 {
			return key{}, errKeyForm
		}
		return key{rs256, k}, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return key{}, errKeyKind
		}
		return key{es256, k}, nil
	case ed25519.PublicKey:
		return key{edDSA, k}, nil
	}
	return key{}, errKeyKind
}

// keys is where the keys of tokens come from.
type keys interface {
	// find gives the keys that a token with this header may be signed with; none
	// is a refusal.
	find(ctx context.Context, alg algorithm, id string) ([]key, *RefusalError)
}

// fileKeys are the keys of files. They have no ids: each one of the algorithm is
// tried.
type fileKeys []key

func (f fileKeys) find(_ context.Context, alg algorithm, _ string) ([]key, *RefusalError) {
	var fit []key
	for _, k := range f {
		if k.alg == alg {
			fit = append(fit, k)
		}
	}
	if len(fit) == 0 {
		return nil, &RefusalError{UnknownKey, "no key of this server is for the token's alg: its signature cannot be checked"}
	}
	return fit, nil
}
