package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func number(n *big.Int) string { return encode(n.Bytes()) }

func rsaJWK(k *rsa.PublicKey, more string) string {
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q,%s}`, number(k.N), number(big.NewInt(int64(k.E))), more)
}

func ecJWK(k *ecdsa.PublicKey, more string) string {
	point, _ := k.Bytes()
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q,%s}`, encode(point[1:33]), encode(point[33:]), more)
}

func edJWK(k ed25519.PublicKey, more string) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q,%s}`, encode(k), more)
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// publisher is an issuer's set of keys as it can be fetched, without a network.
type publisher struct {
	mu      sync.Mutex
	set     string
	down    bool
	fetches int
	at      []time.Time
}

func (p *publisher) fetch(context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetches++
	p.at = append(p.at, time.Now())
	if p.down {
		return nil, errors.New("fetch keys: down")
	}
	return []byte(p.set), nil
}

func (p *publisher) publish(keys ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set, p.down = setOf(keys...), false
}

func (p *publisher) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// remote runs a verifier with the publisher's keys, in the bubble of a test.
func remote(t *testing.T, p *publisher) *Verifier {
	t.Helper()
	v := newVerifier(t, func(c *Config) {
		c.SecretFiles, c.PublicKeyFiles, c.JWKSURL = nil, nil, "https://id.example.com/keys"
	})
	v.remote = newKeySet(p.fetch, slog.New(slog.DiscardHandler))
	v.keys = v.remote
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return v
}

// supplied is a verifier that has the publisher's keys.
func supplied(t *testing.T, keys ...string) (*publisher, *Verifier) {
	t.Helper()
	p := new(publisher)
	p.publish(keys...)
	v := remote(t, p)
	<-v.Ready()
	return p, v
}

func edToken(kid string) string {
	return forge(`{"alg":"EdDSA","kid":"`+kid+`"}`, said(good), edWith(signers().ed))
}

func edKey(kid string) string {
	return edJWK(signers().ed.Public().(ed25519.PublicKey), `"kid":"`+kid+`"`)
}

func TestKeysAreRotated(t *testing.T) {
	signers()
	synctest.Test(t, func(t *testing.T) {
		p, v := supplied(t, edKey("one"))
		v.mustAccept(t, edToken("one"))
		v.mustRefuse(t, edToken(""), NoKeyID)

		// A key that is new is fetched when the first token names it.
		time.Sleep(keyGap) //nolint:forbidigo // the bubble's clock
		p.publish(edKey("one"), edKey("two"))
		before := time.Now()
		v.mustAccept(t, edToken("two"))
		if took := time.Since(before); took > keyGap {
			t.Errorf("a new key took %v", took)
		}
		// One that is withdrawn is gone after the next turn.
		p.publish(edKey("two"))
		time.Sleep(keyInterval + time.Second) //nolint:forbidigo // the bubble's clock
		v.mustRefuse(t, edToken("one"), UnknownKey)
		v.mustAccept(t, edToken("two"))
	})
}

// However many ask for keys that there are not, the issuer is asked once in
// keyGap, nobody waits longer than askTimeout, and who names a known key does
// not wait at all.
func TestUnknownKeysMakeNoStorm(t *testing.T) {
	signers()
	synctest.Test(t, func(t *testing.T) {
		p, v := supplied(t, edKey("one"))
		started := time.Now()
		reasons := map[Reason]int{}
		var mu sync.Mutex
		var callers sync.WaitGroup
		for i := range 4 * maxAsking {
			callers.Go(func() {
				for range 5 {
					began := time.Now()
					_, refused := v.Token(t.Context(), edToken(fmt.Sprint("guess", i)))
					if refused == nil || time.Since(began) > askTimeout {
						t.Errorf("refused with %v after %v", refused, time.Since(began))
						return
					}
					mu.Lock()
					reasons[refused.Reason]++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		before := time.Now()
		v.mustAccept(t, edToken("one"))
		if time.Since(before) != 0 {
			t.Error("a known key waits")
		}
		callers.Wait()
		if most := int(time.Since(started)/keyGap) + 2; p.count() > most {
			t.Errorf("%d fetches in %v, at most %d are right", p.count(), time.Since(started), most)
		}
		if reasons[UnknownKey] == 0 || reasons[KeysWaiting] == 0 || reasons[UnknownKey]+reasons[KeysWaiting] != 20*maxAsking {
			t.Errorf("refusals %v", reasons)
		}
		for i := 1; i < len(p.at); i++ {
			if gap := p.at[i].Sub(p.at[i-1]); gap < keyGap {
				t.Errorf("two fetches %v apart", gap)
			}
		}
	})
}

func TestIssuerIsAway(t *testing.T) {
	signers()
	synctest.Test(t, func(t *testing.T) {
		p := new(publisher)
		p.fail()
		v := remote(t, p)
		synctest.Wait()
		if v.IsReady() {
			t.Error("ready without keys")
		}
		// Nobody is let in, and all are told to come back.
		v.mustRefuse(t, edToken("one"), KeysMissing)
		p.publish(edKey("one"))
		<-v.Ready()
		v.mustAccept(t, edToken("one"))
		// The last keys stay in use; of others nothing can be said.
		p.fail()
		time.Sleep(24 * time.Hour) //nolint:forbidigo // the bubble's clock
		v.mustAccept(t, edToken("one"))
		v.mustRefuse(t, edToken("two"), KeysMissing)
		if age := v.remote.age(time.Now()); age < 23*time.Hour {
			t.Errorf("the age of the keys is %v", age)
		}
		// A set with nothing to use is an outage, too.
		p.publish(`{"kty":"oct","k":"AAAA","kid":"one"}`)
		time.Sleep(keyRetry + keyGap) //nolint:forbidigo // the bubble's clock
		v.mustAccept(t, edToken("one"))
	})
}

// A caller that is gone holds no place, and one that waits does not outlive the
// verifier's end.
func TestCallersLeave(t *testing.T) {
	signers()
	synctest.Test(t, func(t *testing.T) {
		p := new(publisher)
		p.fail()
		v := remote(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 * maxAsking {
			if _, refused := v.Token(ctx, edToken("one")); refused == nil || refused.Reason != KeysMissing {
				t.Fatalf("refused with %v", refused)
			}
		}
		if v.remote.asking != 0 {
			t.Errorf("%d still wait", v.remote.asking)
		}
	})
}

// A key of a set is for one algorithm, and for its id only.
func TestKeyOfASetIsForOneAlgorithm(t *testing.T) {
	s := signers()
	synctest.Test(t, func(t *testing.T) {
		_, v := supplied(t, rsaJWK(&s.rsa.PublicKey, `"kid":"r","use":"sig","alg":"RS256"`),
			ecJWK(&s.ec.PublicKey, `"kid":"e"`), edKey("d"),
			rsaJWK(&s.other.PublicKey, `"kid":"d"`))
		for _, token := range []string{
			forge(`{"alg":"RS256","kid":"r"}`, said(good), rsaWith(s.rsa)),
			forge(`{"alg":"ES256","kid":"e"}`, said(good), ecWith(s.ec)),
			edToken("d"), forge(`{"alg":"RS256","kid":"d"}`, said(good), rsaWith(s.other)),
		} {
			v.mustAccept(t, token)
		}
		v.mustRefuse(t, forge(`{"alg":"RS256","kid":"d"}`, said(good), rsaWith(s.rsa)), Signature)
		for _, token := range []string{
			forge(`{"alg":"HS256","kid":"r"}`, said(good), hmacWith(publicPEM(t, s.rsa.Public()))),
			forge(`{"alg":"HS256","kid":"r"}`, said(good), hmacWith(s.rsa.N.Bytes())),
			forge(`{"alg":"RS256","kid":"e"}`, said(good), rsaWith(s.rsa)),
		} {
			v.mustRefuse(t, token, UnknownKey)
		}
		v.mustRefuse(t, forge(`{"alg":"RS256"}`, said(good), rsaWith(s.rsa)), NoKeyID)
	})
}

func TestParseSet(t *testing.T) {
	s := signers()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	even := new(big.Int).Lsh(big.NewInt(1), 2047)
	r := &s.rsa.PublicKey
	for name, c := range map[string]struct {
		set  string
		keys int
	}{
		"three kinds":        {setOf(rsaJWK(r, `"kid":"a"`), ecJWK(&s.ec.PublicKey, `"kid":"a"`), edKey("a")), 3},
		"members it ignores": {setOf(rsaJWK(r, `"kid":"a","x5u":"https://evil.example.com","x5c":["?"],"ext":true`)), 1},
		"for verifying":      {setOf(rsaJWK(r, `"kid":"a","key_ops":["sign","verify"]`)), 1},
		"for signing only":   {setOf(rsaJWK(r, `"kid":"a","key_ops":["sign"]`)), 0},
		"for encrypting":     {setOf(rsaJWK(r, `"kid":"a","use":"enc"`)), 0},
		"no kid":             {setOf(rsaJWK(r, `"use":"sig"`)), 0},
		"kid a number":       {setOf(rsaJWK(r, `"kid":7`)), 0},
		"another alg":        {setOf(rsaJWK(r, `"kid":"a","alg":"PS256"`)), 0},
		"alg HS256 with RSA": {setOf(rsaJWK(r, `"kid":"a","alg":"HS256"`)), 0},
		"alg none":           {setOf(rsaJWK(r, `"kid":"a","alg":"none"`)), 0},
		"a secret":           {setOf(`{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}`), 0},
		"P-384":              {setOf(strings.Replace(ecJWK(&s.ec.PublicKey, `"kid":"a"`), "P-256", "P-384", 1)), 0},
		"not on the curve": {setOf(`{"kty":"EC","crv":"P-256","kid":"a","x":"` + encode(make([]byte, 32)) + `","y":"` +
			encode(p384.X.Bytes()[:32]) + `"}`), 0},
		"X25519":            {setOf(strings.Replace(edKey("a"), "Ed25519", "X25519", 1)), 0},
		"short Ed25519":     {setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}`), 0},
		"RSA of 1024 bits":  {setOf(rsaJWK(&rsa.PublicKey{N: new(big.Int).Rsh(r.N, 1024), E: 65537}, `"kid":"a"`)), 0},
		"RSA of 16384 bits": {setOf(rsaJWK(&rsa.PublicKey{N: new(big.Int).Lsh(r.N, 14336), E: 65537}, `"kid":"a"`)), 0},
		"exponent 1":        {setOf(rsaJWK(&rsa.PublicKey{N: r.N, E: 1}, `"kid":"a"`)), 0},
		"exponent even":     {setOf(rsaJWK(&rsa.PublicKey{N: r.N, E: 65538}, `"kid":"a"`)), 0},
		"exponent of 100 B": {setOf(`{"kty":"RSA","kid":"a","n":"` + number(r.N) + `","e":"` +
			encode(slices.Repeat([]byte{255}, 100)) + `"}`), 0},
		"modulus not base64":  {setOf(`{"kty":"RSA","kid":"a","n":"***","e":"AQAB"}`), 0},
		"kid twice":           {setOf(edKey("a"), edKey("a")), 1},
		"one good, one bad":   {setOf(`{"kty":"oct","kid":"b"}`, edKey("a"), `7`, `null`), 1},
		"no keys":             {`{"keys":[]}`, 0},
		"keys null":           {`{"keys":null}`, 0},
		"keys an object":      {`{"keys":{}}`, 0},
		"not an object":       {`[]`, 0},
		"HTML":                {`<html>`, 0},
		"empty":               {``, 0},
		"keys twice":          {`{"keys":[` + edKey("a") + `],"keys":[]}`, 0},
		"too many keys":       {setOf(slices.Repeat([]string{edKey("a")}, maxSetKeys+1)...), 0},
		"an even RSA modulus": {setOf(rsaJWK(&rsa.PublicKey{N: even, E: 65537}, `"kid":"a"`)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			set, _, err := parseSet([]byte(c.set))
			if len(set) != c.keys || (err != nil) != (c.keys == 0) {
				t.Errorf("%d keys and error %v, want %d", len(set), err, c.keys)
			}
			for name, k := range set {
				// A key that no signature can fit is harmless.
				if err := k.alg.method().Verify("text", make([]byte, 256), k.material); err == nil {
					t.Errorf("%v verifies anything", name)
				}
			}
		})
	}
}

func TestFetch(t *testing.T) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the keys") }
	var elsewhere int
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", answer)
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { elsewhere++; answer(w, r) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range maxSetBytes/1024 + 1 {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		answer(w, r)
	})
	hanging := make(chan struct{})
	mux.HandleFunc("/hanging", func(_ http.ResponseWriter, r *http.Request) {
		close(hanging)
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	if data, err := fetchFrom(server.URL + "/keys")(t.Context()); err != nil || string(data) != "the keys" {
		t.Errorf("fetched %q, %v", data, err)
	}
	for path, want := range map[string]string{
		"/missing": "404", "/moved": "redirect", "/large": "more than", "/cut": "EOF",
	} {
		if _, err := fetchFrom(server.URL + path)(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hanging; cancel() }()
	if _, err := fetchFrom(server.URL + "/hanging")(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a server that hangs: %v", err)
	}
}

// A server that accepts and says nothing is given up after fetchTimeout, and
// callers before that.
func TestFetchTimesOut(t *testing.T) {
	signers()
	synctest.Test(t, func(t *testing.T) {
		s := newKeySet(func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
			slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.run(ctx) }()
		started := time.Now()
		_, refused := s.find(t.Context(), edDSA, "one")
		if refused == nil || refused.Reason != KeysMissing || time.Since(started) > askTimeout {
			t.Errorf("refused with %v after %v", refused, time.Since(started))
		}
		cancel()
		<-done
		if s.fetches(true) == 0 || s.fetches(false) != 0 || s.age(time.Now()) != 0 || s.count() != 0 {
			t.Error("the outage was not counted")
		}
	})
}

// The whole way: from a server on this machine to a verified token.
func TestKeysFromAServer(t *testing.T) {
	p := new(publisher)
	p.publish(edKey("one"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := p.fetch(r.Context())
		_, _ = w.Write(data)
	}))
	defer server.Close()
	v := newVerifier(t, func(c *Config) { c.SecretFiles, c.PublicKeyFiles, c.JWKSURL = nil, nil, server.URL })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case <-v.Ready():
	case <-time.After(2 * time.Minute):
		t.Fatal("no keys")
	}
	v.mustAccept(t, edToken("one"))
	var metrics strings.Builder
	v.WritePrometheus(&metrics)
	for _, want := range []string{"tasklane_auth_keys 1", "tasklane_auth_keys_age_seconds",
		`tasklane_auth_key_fetches_total{outcome="ok"} 1`} {
		if !strings.Contains(metrics.String(), want) {
			t.Errorf("no %s in\n%s", want, metrics.String())
		}
	}
}
