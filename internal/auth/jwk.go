package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxSetKeys bounds a set of keys; providers publish two or three.
const maxSetKeys = 100

// jwk is one key of a set (RFC 7517) as far as it matters here. Other members,
// as private ones and those with URLs and certificates, are not looked at.
type jwk struct {
	KeyType    string   `json:"kty"`
	ID         string   `json:"kid"`
	Algorithm  string   `json:"alg"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Curve      string   `json:"crv"`
	N          string   `json:"n"`
	E          string   `json:"e"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
}

// keyName is how a token names a key of a set.
type keyName struct {
	alg algorithm
	id  string
}

var (
	errKeyUse  = errors.New("it is not for checking signatures")
	errKeyID   = errors.New("it has no kid")
	errKeyAlg  = errors.New("its alg is not the one that goes with its kind here")
	errKeyForm = errors.New("a member is missing or out of range")
	errNoKeys  = errors.New("there is no key that can be used")
)

// parseSet reads a set of keys. Those that cannot be used, as for another
// algorithm, are left out and told of in skipped; one at least must remain.
func parseSet(data []byte) (set map[keyName]key, skipped []error, err error) {
	var document struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, nil, errors.New("it is not a JSON Web Key Set")
	}
	if len(document.Keys) > maxSetKeys {
		return nil, nil, fmt.Errorf("it has %d keys, at most %d are taken", len(document.Keys), maxSetKeys)
	}
	set = make(map[keyName]key)
	for i, text := range document.Keys {
		k, id, err := parseKey(text)
		name := keyName{k.alg, id}
		if _, double := set[name]; err == nil && double {
			err = errors.New("another has the same kid")
		}
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		set[name] = k
	}
	if len(set) == 0 {
		return nil, skipped, errNoKeys
	}
	return set, skipped, nil
}

func parseKey(text jsontext.Value) (key, string, error) {
	var one jwk
	if json.Unmarshal(text, &one) != nil {
		return key{}, "", errKeyForm
	}
	k, err := one.key()
	return k, one.ID, err
}

// key is the key with its algorithm.
func (j *jwk) key() (key, error) {
	switch {
	case j.ID == "":
		return key{}, errKeyID
	case j.Use != "" && j.Use != "sig", j.Operations != nil && !slices.Contains(j.Operations, "verify"):
		return key{}, errKeyUse
	}
	material, err := j.material()
	if err != nil {
		return key{}, err
	}
	k, err := publicKey(material)
	if err == nil && j.Algorithm != "" && j.Algorithm != string(k.alg) {
		return key{}, errKeyAlg
	}
	return k, err
}

// material is the public key. A symmetric one (oct) is none: whoever can read
// the set could sign with it.
func (j *jwk) material() (any, error) {
	switch {
	case j.KeyType == "RSA":
		n, e := decode(j.N), new(big.Int).SetBytes(decode(j.E))
		if len(n) > maxRSABits/8 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 {
			return nil, errKeyForm
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(e.Int64())}, nil
	case j.KeyType == "EC" && j.Curve == "P-256":
		x, y := decode(j.X), decode(j.Y)
		if len(x) != 32 || len(y) != 32 {
			return nil, errKeyForm
		}
		k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, errKeyForm
		}
		return k, nil
	case j.KeyType == "OKP" && j.Curve == "Ed25519":
		x := decode(j.X)
		if len(x) != ed25519.PublicKeySize {
			return nil, errKeyForm
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errKeyKind
}

// decode reads base64url; nil for what is none.
func decode(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}
