package auth

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzToken sends anything as a token: nobody gets in who was not let in by the
// seeds, whose signatures are right.
func FuzzToken(f *testing.F) {
	// Each of the fuzzer's processes has its own keys, and others' seeds are
	// forged to it.
	secret := []byte(rand.Text() + rand.Text())
	v := newVerifier(f, func(c *Config) { c.SecretFiles = []string{writeFile(f, secret)} })
	s := signers()
	signed := map[string]bool{}
	for _, token := range []string{
		forge(`{"alg":"HS256"}`, said(good), hmacWith(secret)), forge(`{"alg":"RS256"}`, said(good), rsaWith(s.rsa)),
		forge(`{"alg":"ES256"}`, said(good), ecWith(s.ec)), forge(`{"alg":"EdDSA"}`, said(good), edWith(s.ed)),
	} {
		signed[token] = true
		f.Add(token)
	}
	for _, token := range []string{
		"", "..", "a.b.c", forge(`{"alg":"none"}`, said(good), unsigned), forge(`null`, `null`, unsigned),
		forge(`{"alg":"RS256","kid":[]}`, `[]`, unsigned),
		forge(`{"alg":"EdDSA","crit":[]}`, `{"exp":1e400}`, unsigned),
		forge(`{"alg":"HS256"}`, `{"exp":1e300,"nbf":-1e300,"sub":"alice"}`, hmacWith(secret)),
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		who, refused := v.Token(t.Context(), token)
		switch {
		case refused == nil && !signed[token] && !malleable(token, signed):
			t.Fatalf("%q is %+v", token, who)
		case refused == nil && who.User != "alice":
			t.Fatalf("%q is %+v", token, who)
		case refused != nil && (who != Identity{} || refused.Detail() == string(refused.Reason)):
			t.Fatalf("%q: %+v, %v", token, who, refused)
		}
	})
}

// malleable reports whether only the signature differs: the other one that an
// ECDSA signature has says the same of the same text.
func malleable(token string, signed map[string]bool) bool {
	for other := range signed {
		if text := other[:strings.LastIndexByte(other, '.')+1]; strings.HasPrefix(token, text) {
			return true
		}
	}
	return false
}

// FuzzClaims signs anything: what gets in has a user that a task can have and
// an end that has not come.
func FuzzClaims(f *testing.F) {
	v := newVerifier(f, func(c *Config) { c.Issuer, c.Audience = "", "" })
	for _, claims := range []string{
		said(""), said(good), said(`,"nbf":1.5e9,"iat":0,"aud":["a","b"],"scp":["x"]`), `{"sub":"a","exp":1e300}`,
		`{"sub":"a","exp":-1e300}`, `null`, `[]`, `{"exp":null}`,
		`{"sub":"a","exp":9223372036854775807}`, `{"sub":"a","exp":253402300800}`, `{"sub":"\ud800","exp":99999999999}`,
	} {
		f.Add(claims)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		who, refused := v.Token(t.Context(), forge(`{"alg":"HS256"}`, claims, hmacWith([]byte(testSecret))))
		if refused != nil {
			return
		}
		if who.User == "" || len([]rune(who.User)) > 200 || who.Expires.Before(time.Now().Add(-time.Minute)) ||
			who.Expires.Year() > 9999 {
			t.Fatalf("%s is %+v", claims, who)
		}
	})
}

// FuzzKeys reads anything as an issuer's keys, and checks a signature with what
// there is.
func FuzzKeys(f *testing.F) {
	s := signers()
	f.Add([]byte(setOf(rsaJWK(&s.rsa.PublicKey, `"kid":"a"`), ecJWK(&s.ec.PublicKey, `"kid":"b"`), edKey("c"))))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"","n":"","e":""},{"kty":"EC","crv":"P-256"},7,null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, skipped, err := parseSet(data)
		if (err == nil) != (len(set) > 0) || len(set)+len(skipped) > maxSetKeys {
			t.Fatalf("%d keys, %d skipped, %v", len(set), len(skipped), err)
		}
		for name, k := range set {
			if name.id == "" || k.alg == hs256 || k.alg.method().Verify("text", make([]byte, 64), k.material) == nil {
				t.Fatalf("%v is a key of %v", name, k)
			}
		}
	})
}

// FuzzTicket sends anything as a ticket.
func FuzzTicket(f *testing.F) {
	all := newTestTickets(f, rand.Text())
	valid, _ := all.issue(Identity{User: "alice"}, time.Now())
	f.Add(valid)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if who, refused := all.redeem(text, time.Now()); refused == nil && text != valid {
			t.Fatalf("%q is %+v", text, who)
		}
	})
}

// FuzzHeader reads anything as the headers that carry a token.
func FuzzHeader(f *testing.F) {
	f.Add("Bearer a.b.c", "tasklane.v1, bearer.a.b.c")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, authorization, protocol string) {
		token, refused := FromHeader(http.Header{"Authorization": {authorization}, "Sec-Websocket-Protocol": {protocol}})
		if token != "" && (refused != nil || !strings.Contains(authorization+protocol, token)) {
			t.Fatalf("token %q, %v", token, refused)
		}
	})
}
