package auth

import (
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxSetKeys bounds a set of keys; providers publish two or three.
const maxSetKeys = 100

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

// parseKey reads one key (RFC 7517) and its id. Only what makes the public key is handed
// to the library: private members, certificates and URLs are not looked at.
func parseKey(text jsontext.Value) (key, string, error) {
	var said jwkset.JWKMarshal
	if json.Unmarshal(text, &said) != nil {
		return key{}, "", errKeyForm
	}
	switch {
	case said.KID == "":
		return key{}, "", errKeyID
	case said.USE != "" && said.USE != jwkset.UseSig,
		said.KEYOPS != nil && !slices.Contains(said.KEYOPS, jwkset.KeyOpsVerify):
		return key{}, "", errKeyUse
	}
	public := jwkset.JWKMarshal{KTY: said.KTY, CRV: said.CRV, N: said.N, E: said.E, X: said.X, Y: said.Y}
	read, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	switch {
	case said.KTY == jwkset.KtyOct, errors.Is(err, jwkset.ErrUnsupportedKey):
		return key{}, "", errKeyKind // whoever can read a secret in the set could sign with it
	case err != nil:
		return key{}, "", errKeyForm
	}
	k, err := publicKey(read.Key())
	if err == nil && said.ALG != "" && string(said.ALG) != string(k.alg) {
		err = errKeyAlg
	}
	return k, said.KID, err
}
