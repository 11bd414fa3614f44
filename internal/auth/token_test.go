package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestEachKindOfKeyIsForItsAlgorithmOnly(t *testing.T) {
	v := newVerifier(t)
	s := signers()
	all := map[string]signer{
		"HS256": hmacWith([]byte(testSecret)), "RS256": rsaWith(s.rsa), "ES256": ecWith(s.ec), "EdDSA": edWith(s.ed),
	}
	for alg, sign := range all {
		who := v.mustAccept(t, forge(`{"alg":"`+alg+`"}`, said(good), sign))
		if who.User != "alice" || who.Admin || time.Until(who.Expires) < 59*time.Minute {
			t.Errorf("%s: %+v", alg, who)
		}
		for other := range all {
			if other != alg {
				v.mustRefuse(t, forge(`{"alg":"`+other+`"}`, said(good), sign), Signature)
			}
		}
	}
}

// A public key is no secret: who signs with its bytes as HMAC key must not get
// in, in whatever form the server may hold it.
func TestPublicKeyIsNoSecret(t *testing.T) {
	s := signers()
	pkix, err := x509.MarshalPKIXPublicKey(s.rsa.Public())
	must(t, err)
	material := [][]byte{
		publicPEM(t, s.rsa.Public()), bytes.TrimSpace(publicPEM(t, s.rsa.Public())), pkix,
		x509.MarshalPKCS1PublicKey(&s.rsa.PublicKey), s.rsa.N.Bytes(), s.ed.Public().(ed25519.PublicKey), nil,
	}
	both := newVerifier(t)
	keysOnly := newVerifier(t, func(c *Config) { c.SecretFiles = nil })
	for i, secret := range material {
		token := forge(`{"alg":"HS256"}`, said(good), hmacWith(secret))
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			both.mustRefuse(t, token, Signature)
			keysOnly.mustRefuse(t, token, UnknownKey)
		})
	}
}

func TestForgedTokens(t *testing.T) {
	v := newVerifier(t)
	s := signers()
	secret := hmacWith([]byte(testSecret))
	const hs, past = `{"alg":"HS256","typ":"JWT"}`, `{"sub":"alice","exp":1000000000`
	in := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	valid := forge(hs, said(good), secret)
	v.mustAccept(t, valid)
	parts := strings.Split(valid, ".")
	for name, c := range map[string]struct {
		token string
		why   Reason
	}{
		"nothing":      {"", Missing},
		"none":         {forge(`{"alg":"none"}`, said(good), unsigned), Algorithm},
		"None":         {forge(`{"alg":"None"}`, said(good), unsigned), Algorithm},
		"nOnE, signed": {forge(`{"alg":"nOnE"}`, said(good), secret), Algorithm},
		"no alg":       {forge(`{"typ":"JWT"}`, said(good), secret), Algorithm},
		"empty alg":    {forge(`{"alg":""}`, said(good), secret), Algorithm},
		"alg a number": {forge(`{"alg":256}`, said(good), secret), Algorithm},
		"alg a list":   {forge(`{"alg":["HS256"]}`, said(good), secret), Algorithm},
		"lower case":   {forge(`{"alg":"hs256"}`, said(good), secret), Algorithm},
		"HS384":        {forge(`{"alg":"HS384"}`, said(good), secret), Algorithm},
		"PS256":        {forge(`{"alg":"PS256"}`, said(good), rsaWith(s.rsa)), Algorithm},
		"ES384":        {forge(`{"alg":"ES384"}`, said(good), ecWith(s.ec)), Algorithm},
		// The member that counts is the one that was checked.
		"alg twice, none last":  {forge(`{"alg":"HS256","alg":"none"}`, said(good), secret), Algorithm},
		"alg twice, none first": {forge(`{"alg":"none","alg":"HS256"}`, said(good), unsigned), Signature},

		"no signature":    {parts[0] + "." + parts[1] + ".", Signature},
		"short signature": {parts[0] + "." + parts[1] + "." + encode([]byte("short")), Signature},
		"other claims": {parts[0] + "." + encode([]byte(strings.Replace(said(good), "alice", "bob", 1))) + "." + parts[2],
			Signature},
		"other secret": {forge(hs, said(good), hmacWith([]byte("another secret of thirty-two bytes and more"))),
			Signature},
		"other RSA key": {forge(`{"alg":"RS256"}`, said(good), rsaWith(s.other)), Signature},
		"ES256 of zeros": {forge(`{"alg":"ES256"}`, said(good), func(string) []byte { return make([]byte, 64) }),
			Signature},
		"ES256 too short": {forge(`{"alg":"ES256"}`, said(good), func(string) []byte { return []byte{1} }), Signature},
		"ES256 of orders": {forge(`{"alg":"ES256"}`, said(good),
			func(string) []byte { return bytes.Repeat(elliptic.P256().Params().N.Bytes(), 2) }), Signature},
		"EdDSA of zeros": {forge(`{"alg":"EdDSA"}`, said(good), func(string) []byte { return make([]byte, 64) }),
			Signature},
		"RS256 of nothing": {forge(`{"alg":"RS256"}`, said(good), unsigned), Signature},
		// What a header names is not followed, nor is a key that comes along.
		"own key": {forge(`{"alg":"RS256","jwk":`+rsaJWK(&s.other.PublicKey, `"kid":"mine"`)+`}`, said(good),
			rsaWith(s.other)), Signature},
		"jku":   {forge(`{"alg":"RS256","jku":"https://evil.example.com/"}`, said(good), rsaWith(s.other)), Signature},
		"crit":  {forge(`{"alg":"HS256","crit":["b64"],"b64":false}`, said(good), secret), Malformed},
		"kid 7": {forge(`{"alg":"HS256","kid":7}`, said(good), secret), Malformed},

		"expired":            {forge(hs, past+good+`}`, secret), Expired},
		"expired a second":   {forge(hs, `{"sub":"alice","exp":`+in(-time.Second)+good+`}`, secret), Expired},
		"expires now":        {forge(hs, `{"sub":"alice","exp":`+in(0)+good+`}`, secret), Expired},
		"no exp":             {forge(hs, `{"sub":"alice"`+good+`}`, secret), Malformed},
		"exp null":           {forge(hs, `{"sub":"alice","exp":null`+good+`}`, secret), Malformed},
		"exp as text":        {forge(hs, `{"sub":"alice","exp":"`+in(time.Hour)+`"`+good+`}`, secret), Malformed},
		"exp of 2^64":        {forge(hs, `{"sub":"alice","exp":18446744073709551616`+good+`}`, secret), Malformed},
		"exp of 2^63 + soon": {forge(hs, `{"sub":"alice","exp":9223372036854775807`+good+`}`, secret), Malformed},
		"exp infinite":       {forge(hs, `{"sub":"alice","exp":1e400`+good+`}`, secret), Malformed},
		"exp below zero":     {forge(hs, `{"sub":"alice","exp":-1`+good+`}`, secret), Malformed},
		"exp a list":         {forge(hs, `{"sub":"alice","exp":[`+in(time.Hour)+`]`+good+`}`, secret), Malformed},
		"nbf as text":        {forge(hs, said(good+`,"nbf":"`+in(-time.Hour)+`"`), secret), Malformed},
		"nbf of 2^64":        {forge(hs, said(good+`,"nbf":18446744073709551616`), secret), Malformed},
		"nbf of 1e30":        {forge(hs, said(good+`,"nbf":1e30`), secret), Malformed},
		"iat as text":        {forge(hs, said(good+`,"iat":"0"`), secret), Malformed},
		"iat of 2^64":        {forge(hs, said(good+`,"iat":18446744073709551616`), secret), Malformed},
		"iat of true":        {forge(hs, said(good+`,"iat":true`), secret), Malformed},
		"exp far away":       {forge(hs, `{"sub":"alice","exp":1e15`+good+`}`, secret), Malformed},
		"exp twice":          {forge(hs, past+`,"exp":`+in(time.Hour)+good+`}`, secret), Malformed},
		"EXP":                {forge(hs, `{"sub":"alice","EXP":`+in(time.Hour)+good+`}`, secret), Malformed},
		"nbf ahead":          {forge(hs, said(good+`,"nbf":`+in(5*time.Minute)), secret), NotYetValid},
		"iat ahead":          {forge(hs, said(good+`,"iat":`+in(5*time.Minute)), secret), NotYetValid},
		"no iss":             {forge(hs, said(`,"aud":"tasklane"`), secret), WrongIssuer},
		"other iss":          {forge(hs, said(`,"iss":"https://evil.example.com","aud":"tasklane"`), secret), WrongIssuer},
		"iss with a slash":   {forge(hs, said(`,"iss":"https://id.example.com/","aud":"tasklane"`), secret), WrongIssuer},
		"iss a list":         {forge(hs, said(`,"iss":["https://id.example.com"],"aud":"tasklane"`), secret), Malformed},
		"no aud":             {forge(hs, said(`,"iss":"https://id.example.com"`), secret), WrongAud},
		"other aud":          {forge(hs, said(`,"iss":"https://id.example.com","aud":["a","b"]`), secret), WrongAud},
		"aud in upper case":  {forge(hs, said(`,"iss":"https://id.example.com","aud":"TASKLANE"`), secret), WrongAud},
		"aud a number":       {forge(hs, said(`,"iss":"https://id.example.com","aud":7`), secret), Malformed},
		"no sub":             {forge(hs, `{"exp":`+in(time.Hour)+good+`}`, secret), BadSubject},
		"empty sub":          {forge(hs, `{"sub":"","exp":`+in(time.Hour)+good+`}`, secret), BadSubject},
		"SUB":                {forge(hs, `{"SUB":"alice","exp":`+in(time.Hour)+good+`}`, secret), BadSubject},
		"sub a number":       {forge(hs, `{"sub":7,"exp":`+in(time.Hour)+good+`}`, secret), Malformed},
		"sub twice":          {forge(hs, said(good+`,"sub":"bob"`), secret), Malformed},
		"sub and escaped":    {forge(hs, said(good+`,"\u0073ub":"bob"`), secret), Malformed},
		"long sub": {forge(hs, `{"sub":"`+strings.Repeat("u", 201)+`","exp":`+in(time.Hour)+good+`}`, secret),
			BadSubject},
		"sub not UTF-8":   {forge(hs, `{"sub":"`+"\xff"+`","exp":`+in(time.Hour)+good+`}`, secret), Malformed},
		"scope an object": {forge(hs, said(good+`,"scope":{"tasklane:admin":true}`), secret), Malformed},
		"claims null":     {forge(hs, `null`, secret), Malformed},
		"claims a list":   {forge(hs, `[]`, secret), Malformed},
		"claims no JSON":  {forge(hs, `{"sub":`, secret), Malformed},
		"header null":     {forge(`null`, said(good), secret), Algorithm},
		"header no JSON":  {forge(`alg`, said(good), secret), Malformed},
		"two parts":       {parts[0] + "." + parts[1], Malformed},
		"four parts":      {valid + ".", Malformed},
		"encrypted":       {valid + "." + parts[1] + "." + parts[2], Malformed},
		"only dots":       {strings.Repeat(".", 8000), Malformed},
		"padding":         {valid + "==", Malformed},
		"plain base64": {parts[0] + "." + parts[1] + "." + base64.StdEncoding.EncodeToString([]byte("\xfb\xff\xfe")),
			Malformed},
		"line feed inside": {valid[:10] + "\n" + valid[10:], Signature},
		"bits left over":   {parts[0] + "." + parts[1] + "." + "AB", Malformed},
		"too large":        {forge(hs, said(good+`,"pad":"`+strings.Repeat("x", MaxTokenBytes)+`"`), secret), TooLarge},
		"a byte too large": {strings.Repeat("x", MaxTokenBytes+1), TooLarge},
		"depth": {forge(hs, said(good+`,"d":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), secret),
			""},
		"unsigned, expired":   {forge(hs, past+good+`}`, hmacWith([]byte("guessed"))), Signature},
		"unsigned, admin":     {forge(hs, said(good+`,"scope":"tasklane:admin"`), hmacWith([]byte("guessed"))), Signature},
		"unsigned, other iss": {forge(hs, said(`,"iss":"https://evil.example.com"`), hmacWith([]byte("guessed"))), Signature},
	} {
		t.Run(name, func(t *testing.T) {
			if c.why == "" {
				v.mustAccept(t, c.token)
				return
			}
			v.mustRefuse(t, c.token, c.why)
		})
	}
}

// Whoever holds a token reads which of its claims is wrong, and nothing that is not in it: neither what is in
// the token's claims nor what the server is configured with.
func TestRefusalsNameTheClaim(t *testing.T) {
	v := newVerifier(t)
	secret := hmacWith([]byte(testSecret))
	const hs = `{"alg":"HS256"}`
	in := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	exp := `"exp":` + in(time.Hour)
	for token, says := range map[string]string{
		forge(hs, `{"sub":"alice"`+good+`}`, secret):                               "has no exp",
		forge(hs, `{"sub":"alice","exp":1000000000`+good+`}`, secret):              "by its exp",
		forge(hs, `{"sub":"alice","exp":"`+in(time.Hour)+`"`+good+`}`, secret):     "exp is no number of seconds",
		forge(hs, `{"sub":"alice","exp":`+in(time.Hour)+`000`+good+`}`, secret):    "not milliseconds",
		forge(hs, `{"sub":"alice",`+exp+`,`+exp+good+`}`, secret):                  "have exp twice",
		forge(hs, said(good+`,"nbf":`+in(5*time.Minute)), secret):                  "nbf is still to come",
		forge(hs, said(good+`,"nbf":"tomorrow"`), secret):                          "nbf is no number",
		forge(hs, said(good+`,"iat":`+in(5*time.Minute)), secret):                  "iat is still to come",
		forge(hs, said(good+`,"iat":{}`), secret):                                  "iat is no number",
		forge(hs, said(`,"aud":"tasklane"`), secret):                               "has no iss",
		forge(hs, said(`,"aud":"tasklane","iss":"https://other.example"`), secret): "iss is not the issuer",
		forge(hs, said(`,"aud":"tasklane","iss":7`), secret):                       "iss is not text",
		forge(hs, said(`,"iss":"https://id.example.com"`), secret):                 "has no aud",
		forge(hs, said(`,"iss":"https://id.example.com","aud":"billing"`), secret): "aud is for other servers",
		forge(hs, said(`,"iss":"https://id.example.com","aud":{"a":1}`), secret):   "aud is neither text nor a list",
		forge(hs, `{`+exp+good+`}`, secret):                                        "has no sub",
		forge(hs, `{"sub":7,`+exp+good+`}`, secret):                                "sub is not text",
		forge(hs, `{"sub":"a\u0000b",`+exp+good+`}`, secret):                       "sub cannot be a user_id",
		forge(hs, said(good+`,"scope":7`), secret):                                 "scope is neither text nor a list",
		forge(hs, said(good+`,"own":{"a":1,"a":2}`), secret):                       "no JSON object that has each name once",
		forge(hs, `["alice"]`, secret):                                             "no JSON object",
		forge(`{"alg":"HS256","kid":7}`, said(good), secret):                       "kid is not text",
		forge(`{"alg":"HS256","crit":["exp"]}`, said(good), secret):                "crit",
		forge(`{"alg":"HS384"}`, said(good), secret):                               "alg is not accepted",
		forge(`{}`, said(good), secret):                                            "alg is not accepted",
		forge(hs, said(good), hmacWith([]byte("guessed"))):                         "signature is not right",
		"c2Vzc2lvbg": "is no signed JWT",
	} {
		_, refused := v.Token(t.Context(), token)
		if refused == nil {
			t.Errorf("let in, want %q", says)
			continue
		}
		detail := refused.Detail()
		if !strings.Contains(detail, says) || !strings.Contains(refused.Challenge(), strings.ReplaceAll(detail, `"`, "'")) {
			t.Errorf("refused with %q and %q, want %q", detail, refused.Challenge(), says)
		}
		const closeFrame = 123 // a WebSocket's reason has no room for more
		if len(detail)+1 > closeFrame {
			t.Errorf("%q has %d bytes, which no close frame holds", detail, len(detail))
		}
		for _, private := range []string{"alice", "example.com", "tasklane", "billing", "other.example"} {
			if strings.Contains(detail, private) {
				t.Errorf("%q tells %q", detail, private)
			}
		}
	}
}

func TestClocksMayDiffer(t *testing.T) {
	v := newVerifier(t)
	for _, claim := range []string{"nbf", "iat"} {
		soon := fmt.Sprintf(`,%q:%d`, claim, time.Now().Add(30*time.Second).Unix())
		v.mustAccept(t, forge(`{"alg":"HS256"}`, said(good+soon), hmacWith([]byte(testSecret))))
	}
}

// Without an issuer and audience in the configuration none is asked for: the
// keys say all.
func TestIssuerAndAudienceCanBeAny(t *testing.T) {
	v := newVerifier(t, func(c *Config) { c.Issuer, c.Audience = "", "" })
	for _, more := range []string{"", good, `,"iss":"x","aud":["y"]`} {
		v.mustAccept(t, forge(`{"alg":"HS256"}`, said(more), hmacWith([]byte(testSecret))))
	}
}

func TestAdminIsAnExactScope(t *testing.T) {
	v := newVerifier(t)
	for scope, admin := range map[string]bool{
		`,"scope":"tasklane:admin"`: true, `,"scope":"openid tasklane:admin email"`: true,
		`,"scope":["tasklane:admin"]`: true,
		`,"scp":"tasklane:admin"`:     true, `,"scp":["read","tasklane:admin"]`: true,
		"": false, `,"scope":""`: false, `,"scope":null`: false, `,"scope":"tasklane:administrator"`: false,
		`,"scope":"TASKLANE:ADMIN"`: false,
		`,"scope":"tasklane"`:       false, `,"SCOPE":"tasklane:admin"`: false, `,"scopes":"tasklane:admin"`: false,
		`,"admin":true`:                      false,
		`,"scope":["openid tasklane:admin"]`: false, `,"roles":["tasklane:admin"]`: false,
	} {
		who := v.mustAccept(t, forge(`{"alg":"HS256"}`, said(good+scope), hmacWith([]byte(testSecret))))
		if who.Admin != admin {
			t.Errorf("%s: admin is %v", scope, who.Admin)
		}
	}
}

// Keys are changed by giving two for a while.
func TestSeveralSecrets(t *testing.T) {
	next := "the next secret of more than thirty-two bytes, too"
	v := newVerifier(t, func(c *Config) { c.SecretFiles = append(c.SecretFiles, writeFile(t, []byte(next))) })
	for _, secret := range []string{testSecret, next} {
		v.mustAccept(t, forge(`{"alg":"HS256","kid":"whatever"}`, said(good), hmacWith([]byte(secret))))
	}
}

// No part of what a caller sent may come back: it may be a token that is good
// elsewhere.
func TestRefusalsSayNothingOfTheToken(t *testing.T) {
	v := newVerifier(t)
	marker := "MARKERMARKER"
	for _, token := range []string{
		marker, forge(`{"alg":"`+marker+`"}`, said(good), unsigned),
		forge(`{"alg":"HS256"}`, said(`,"iss":"`+marker+`"`), hmacWith([]byte(testSecret))),
		forge(`{"alg":"HS256"}`, `{"`+marker, unsigned), marker + "." + marker + "." + marker,
	} {
		_, refused := v.Token(t.Context(), token)
		if refused == nil {
			t.Fatal("let in")
		}
		told := refused.Error() + refused.Detail() + refused.Challenge() + fmt.Sprint(refused.Status())
		if strings.Contains(told, marker) || strings.Contains(told, encode([]byte(marker))) {
			t.Errorf("%q tells what was sent", told)
		}
	}
}

// Every reason has a text of its own, a status, and for 401 a challenge that a
// header can hold.
func TestReasons(t *testing.T) {
	details := map[string]Reason{}
	for reason, status := range map[Reason]int{
		Missing: 401, Scheme: 401, NoKeyID: 401, Malformed: 401, TooLarge: 401, Algorithm: 401, UnknownKey: 401,
		Signature: 401, Expired: 401, NotYetValid: 401,
		WrongIssuer: 401, WrongAud: 401, BadSubject: 401, BadTicket: 401, LateTicket: 401, UsedTicket: 401,
		OtherUser: 403, AdminOnly: 403, KeysMissing: 503, KeysWaiting: 503, TicketsFull: 503, TokenInQuery: 400,
	} {
		r := &RefusalError{Reason: reason}
		if r.Status() != status {
			t.Errorf("%s: status %d, want %d", reason, r.Status(), status)
		}
		if other, double := details[r.Detail()]; double || r.Detail() == string(reason) {
			t.Errorf("%s has no text of its own; %s has %q", reason, other, r.Detail())
		}
		details[r.Detail()] = reason
		challenge := r.Challenge()
		if (challenge != "") != (status == 401) || strings.Count(challenge, `"`)%2 != 0 ||
			strings.ContainsAny(challenge, "\r\n\\") {
			t.Errorf("%s: challenge %q", reason, challenge)
		}
	}
}

// What an independent library makes is taken, and what Mint makes says what was
// asked for.
func TestMintedTokens(t *testing.T) {
	s := signers()
	v := newVerifier(t)
	secret, err := NewSecretMinter(secretFile(t))
	must(t, err)
	minters := map[string]*Minter{"HS256": secret}
	for alg, private := range map[string]any{"RS256": s.rsa, "ES256": s.ec, "EdDSA": s.ed} {
		if minters[alg], err = NewKeyMinter(writeFile(t, privatePEM(t, private))); err != nil {
			t.Fatal(err)
		}
	}
	grant := Grant{
		User: "alice", Scopes: []string{"a", DefaultAdminScope}, Issuer: "https://id.example.com", Audience: "tasklane",
		From: time.Now(), For: time.Minute,
	}
	for alg, m := range minters {
		token, err := m.Mint(grant)
		must(t, err)
		who := v.mustAccept(t, token)
		if who.User != "alice" || !who.Admin || who.Expires.Unix() != grant.From.Add(time.Minute).Unix() {
			t.Errorf("%s: %+v", alg, who)
		}
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		must(t, err)
		if parsed.Method.Alg() != alg {
			t.Errorf("signed with %s, want %s", parsed.Method.Alg(), alg)
		}
	}
	token, err := secret.Mint(Grant{User: "bob", From: time.Now(), For: time.Minute})
	must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var names map[string]any
	must(t, json.Unmarshal(payload, &names))
	if len(names) != 3 || names["sub"] != "bob" {
		t.Errorf("claims %v, want sub, iat and exp", names)
	}
}

func TestOffLetsAllIn(t *testing.T) {
	v, err := New(Config{})
	must(t, err)
	var none *Verifier
	if v.On() || none.On() || !v.IsReady() {
		t.Error("auth is on, or not ready")
	}
	if who := Anyone(); !who.MayActFor("alice") || !who.MayActFor("bob") || !who.Expires.IsZero() {
		t.Errorf("anyone is %+v", who)
	}
	v.Run(t.Context()) // there is nothing to fetch: it returns
}

func TestSettle(t *testing.T) {
	v := newVerifier(t)
	alice, admin := Identity{User: "alice"}, Identity{User: "root", Admin: true}
	for _, c := range []struct {
		who         Identity
		named, user string
		refused     bool
	}{
		{alice, "", "alice", false}, {alice, "alice", "alice", false}, {alice, "bob", "", true}, {alice, "Alice", "", true},
		{alice, "alice ", "", true}, {alice, "alice\x00", "", true}, {admin, "", "root", false}, {admin, "bob", "bob", false},
	} {
		got, refused := v.Settle(c.who, c.named)
		if got != c.user || (refused != nil) != c.refused || refused != nil && refused.Reason != OtherUser {
			t.Errorf("%+v naming %q: %q, %v", c.who, c.named, got, refused)
		}
	}
}
