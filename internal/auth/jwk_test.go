package auth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
	"pgregory.net/rapid"
)

// published is a key as a provider with this library writes it, private members included
// if it is careless.
func published(t *testing.T, key any, options jwkset.JWKOptions) string {
	t.Helper()
	options.Metadata.KID = "one"
	made, err := jwkset.NewJWKFromKey(key, options)
	must(t, err)
	text, err := json.Marshal(made.Marshal())
	must(t, err)
	return string(text)
}

// A set is read by what makes its keys public, whatever else was published with them.
func TestKeysAreReadAsTheyAreWritten(t *testing.T) {
	s := signers()
	for alg, c := range map[algorithm]struct {
		key  crypto.Signer
		sign signer
	}{
		rs256: {s.rsa, rsaWith(s.rsa)}, es256: {s.ec, ecWith(s.ec)}, edDSA: {s.ed, edWith(s.ed)},
	} {
		for _, careless := range []bool{false, true} {
			var key any = c.key.Public()
			if careless {
				key = c.key
			}
			for _, metadata := range []jwkset.JWKMetadataOptions{
				{}, {ALG: jwkset.ALG(alg)}, {USE: jwkset.UseSig}, {KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsVerify}},
			} {
				text := published(t, key, jwkset.JWKOptions{
					Metadata: metadata, Marshal: jwkset.JWKMarshalOptions{Private: careless},
				})
				if careless != strings.Contains(text, `"d":`) {
					t.Fatalf("careless %v: %s", careless, text)
				}
				set, skipped, err := parseSet([]byte(setOf(text)))
				k, found := set[keyName{alg, "one"}]
				if err != nil || len(skipped) != 0 || !found {
					t.Fatalf("%s: %v, %v", text, skipped, err)
				}
				if _, private := k.material.(crypto.Signer); private {
					t.Errorf("%s: a %T could sign", alg, k.material)
				}
				if err := alg.method().Verify("text", c.sign("text"), k.material); err != nil {
					t.Errorf("%s: %v", alg, err)
				}
			}
		}
	}
	secret := published(t, []byte(testSecret), jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}})
	if _, skipped, err := parseSet([]byte(setOf(secret))); err == nil || len(skipped) != 1 {
		t.Errorf("a secret in a set: %v, %v", skipped, err)
	}
}

// Numbers may begin with zeros and end with padding, as some providers write them: they
// are the same numbers.
func TestNumbersOfKeysAreForgiven(t *testing.T) {
	s := signers()
	n, e := s.rsa.N.Bytes(), big.NewInt(int64(s.rsa.E)).Bytes()
	point, err := s.ec.PublicKey.Bytes()
	must(t, err)
	zero := func(b []byte) []byte { return append([]byte{0}, b...) }
	padded := func(b []byte) string { return encode(b) + strings.Repeat("=", (4-len(encode(b))%4)%4) }
	for name, key := range map[string]string{
		"n and e with a zero": fmt.Sprintf(`{"kty":"RSA","kid":"a","n":%q,"e":%q}`, encode(zero(n)), encode(zero(e))),
		"n with padding":      fmt.Sprintf(`{"kty":"RSA","kid":"a","n":%q,"e":%q}`, padded(n), padded(e)),
		"x with padding": fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"a","x":%q,"y":%q}`,
			padded(point[1:33]), padded(point[33:])),
		"Ed25519 with padding": fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":%q}`,
			padded(s.ed.Public().(ed25519.PublicKey))),
	} {
		set, skipped, err := parseSet([]byte(setOf(key)))
		if err != nil {
			t.Errorf("%s: %v, %v", name, skipped, err)
		}
		for _, k := range set {
			if k.alg == rs256 && (k.material.(*rsa.PublicKey).N.Cmp(s.rsa.N) != 0 || k.material.(*rsa.PublicKey).E != s.rsa.E) {
				t.Errorf("%s: another key was read", name)
			}
		}
	}
}

// An RSA key has an odd exponent of at least 3 that fits in 31 bits, from a set as from a
// file.
func TestExponents(t *testing.T) {
	n := signers().rsa.N
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.OneOf(rapid.Int64Range(0, 1<<33), rapid.Int64Range(0, 20), rapid.Int64Range(1<<31-3, 1<<31+3)).Draw(t, "e")
		set, _, err := parseSet([]byte(setOf(fmt.Sprintf(`{"kty":"RSA","kid":"a","n":%q,"e":%q}`,
			number(n), number(big.NewInt(e))))))
		if fine := e >= 3 && e%2 == 1 && e < 1<<31; (err == nil) != fine || (len(set) == 1) != fine {
			t.Fatalf("exponent %d: %v", e, err)
		}
		if e >= 1<<31 {
			return
		}
		if _, err := publicKey(&rsa.PublicKey{N: n, E: int(e)}); (err == nil) != (e >= 3 && e%2 == 1) {
			t.Fatalf("exponent %d: %v", e, err)
		}
	})
}
