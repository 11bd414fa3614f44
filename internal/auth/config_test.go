package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

func TestConfigurations(t *testing.T) {
	s := signers()
	secret, public := secretFile(t), writeFile(t, publicPEM(t, s.rsa.Public()))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	const url, issuer = "https://id.example.com/keys", "https://id.example.com"
	many := writeFile(t, slices.Concat(slices.Repeat([][]byte{publicPEM(t, s.ed.Public())}, maxFileKeys+1)...))
	jwks := func(url string) Config {
		return Config{Mode: ModeJWT, JWKSURL: url, Issuer: issuer, Audience: "tasklane"}
	}
	file := func(content []byte) Config {
		return Config{Mode: ModeJWT, PublicKeyFiles: []string{writeFile(t, content)}}
	}
	for name, c := range map[string]struct {
		config Config
		want   string // in the error, "" for none
	}{
		"off":                   {Config{}, ""},
		"off by name":           {Config{Mode: ModeOff}, ""},
		"a secret":              {Config{Mode: ModeJWT, SecretFiles: []string{secret}}, ""},
		"a public key":          {Config{Mode: ModeJWT, PublicKeyFiles: []string{public}}, ""},
		"a URL":                 {jwks(url), ""},
		"a URL on this machine": {jwks("http://127.0.0.1:9000/keys"), ""},
		"an unknown mode":       {Config{Mode: "basic"}, "use off or jwt"},
		"off, with a secret":    {Config{SecretFiles: []string{secret}}, "turn it on with --auth jwt"},
		"off, with a URL":       {Config{Mode: ModeOff, JWKSURL: url}, "turn it on with --auth jwt"},
		"off, with an audience": {Config{Audience: "tasklane"}, "turn it on with --auth jwt"},
		"off, with tickets":     {Config{TicketSecretFile: secret}, "turn it on with --auth jwt"},
		"no key": {Config{Mode: ModeJWT, Issuer: issuer},
			"give --auth-secret-file, --auth-public-key-file or --auth-jwks-url"},
		"files and a URL": {Config{Mode: ModeJWT, SecretFiles: []string{secret}, JWKSURL: url}, "give one kind"},
		"a URL without issuer": {Config{Mode: ModeJWT, JWKSURL: url, Audience: "tasklane"},
			"--auth-issuer and --auth-audience"},
		"a URL without audience": {Config{Mode: ModeJWT, JWKSURL: url, Issuer: issuer}, "--auth-issuer and --auth-audience"},
		"http":                   {jwks("http://id.example.com/keys"), "want https"},
		"http, almost local":     {jwks("http://127.0.0.1.example.com/keys"), "want https"},
		"ftp":                    {jwks("ftp://id.example.com/keys"), "want https"},
		"a file URL":             {jwks("file:///etc/keys"), "want a URL such as"},
		"a password in the URL":  {jwks("https://user:hunter2@id.example.com/keys"), "want a URL such as"},
		"not a URL":              {jwks("::"), "want a URL such as"},
		"a scope with a space": {Config{Mode: ModeJWT, SecretFiles: []string{secret}, AdminScope: "a b"},
			"a scope has no spaces"},
		"no such file": {Config{Mode: ModeJWT, SecretFiles: []string{secret + "-gone"}}, "no such file"},
		"a short secret": {Config{Mode: ModeJWT,
			SecretFiles: []string{writeFile(t,
				[]byte("short\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"))}}, "at least 32 are needed"},
		"a short ticket secret": {Config{Mode: ModeJWT, SecretFiles: []string{secret},
			TicketSecretFile: writeFile(t, []byte("short"))}, "at least 32 are needed"},
		"a key for a secret": {Config{Mode: ModeJWT, SecretFiles: []string{public}}, "--auth-public-key-file"},
		"a huge secret": {Config{Mode: ModeJWT, SecretFiles: []string{writeFile(t, make([]byte, maxFileBytes+1))}},
			"at most"},
		"not PEM":             {file([]byte("ssh-ed25519 AAAA")), "not PEM"},
		"empty":               {file(nil), "not PEM"},
		"something after PEM": {file(append(publicPEM(t, s.rsa.Public()), "oops"...)), "not PEM"},
		"a private key":       {file(privatePEM(t, s.rsa)), "needs no private key"},
		"a broken key":        {file(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}})), "asn1"},
		"a weak key":          {file(publicPEM(t, weak.Public())), "1024 bits"},
		"another curve":       {file(publicPEM(t, p384.Public())), "an EC key on P-256"},
		"too many keys":       {Config{Mode: ModeJWT, PublicKeyFiles: []string{many}}, "at most 16"},
		"an old form": {file(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY",
			Bytes: x509.MarshalPKCS1PublicKey(&s.rsa.PublicKey)})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.config)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

func TestMintersRefuse(t *testing.T) {
	s := signers()
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"a public key":    {publicPEM(t, s.rsa.Public()), "want PRIVATE KEY"},
		"not PEM":         {[]byte("secret"), "not PEM"},
		"two keys":        {append(privatePEM(t, s.ed), privatePEM(t, s.ed)...), "one private key"},
		"a broken key":    {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), "asn1"},
		"encrypted":       {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), "not encrypted"},
		"parameters only": {pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{1}}), "not PEM"},
	} {
		if _, err := NewKeyMinter(writeFile(t, c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := NewSecretMinter(writeFile(t, []byte("short"))); err == nil {
		t.Error("a short secret was taken")
	}
	// As openssl ecparam writes it.
	der, err := x509.MarshalECPrivateKey(s.ec)
	must(t, err)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 1, 1}}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	if _, err := NewKeyMinter(writeFile(t, both)); err != nil {
		t.Errorf("an EC key with its parameters: %v", err)
	}
}
