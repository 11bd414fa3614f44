package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// of is a Security that was made with a config, without its files.
func of(c Config) *Security { return &Security{config: c} }

// TestExplain: what keeps a client and its brokers apart, whether waiting may help, and which
// flag to change. The reason stays inside.
func TestExplain(t *testing.T) {
	tlsOnly, saslOnly := of(Config{TLS: true}), of(Config{SASL: SASLPlain})
	both := of(Config{TLS: true, SASL: SASLScram256})
	withCert, token := of(Config{TLS: true, CertFile: "c"}), of(Config{SASL: SASLOAuthBearer})
	remote := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for name, test := range map[string]struct {
		err   error
		s     *Security
		says  string // nothing: it is left as it is
		final bool
	}{
		"a wrong password":               {kerr.SaslAuthenticationFailed, saslOnly, "--kafka-password-file", true},
		"a wrong token":                  {kerr.SaslAuthenticationFailed, token, "--kafka-token-file", true},
		"a token that was refused":       {&tokenRefusedError{"invalid_token"}, token, "--kafka-token-file", true},
		"an issuer that does not answer": {&tokenIssuerError{"https://issuer", io.EOF}, token, "--kafka-token-url", false},
		"a mechanism that is off":        {kerr.UnsupportedSaslMechanism, both, "SCRAM-SHA-256", true},
		"a port without SASL":            {kerr.IllegalSaslState, saslOnly, "leave --kafka-sasl out", true},
		"an authority nobody knows":      {x509.UnknownAuthorityError{}, tlsOnly, "--kafka-ca", true},
		"another name": {
			x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, tlsOnly, "--kafka-tls-server-name", true,
		},
		"an old certificate": {x509.CertificateInvalidError{Reason: x509.Expired}, tlsOnly, "renew it", true},
		"another fault of one": {x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, tlsOnly, "new one made",
			true},
		"no certificate":      {remote, tlsOnly, "--kafka-cert and --kafka-key", true},
		"a refused one":       {remote, withCert, "truststore", true},
		"TLS to a plain port": {tls.RecordHeaderError{}, tlsOnly, "leave --kafka-tls out", true},
		"plain to a TLS port": {errors.New("invalid large response size: these bytes appear to be a tls alert"), nil,
			"give --kafka-tls", true},
		"silence in TLS": {fmt.Errorf("%w: %w", errHandshake, context.DeadlineExceeded), tlsOnly, "SSL listener",
			false},
		"an end in TLS":       {fmt.Errorf("%w: %w", errHandshake, io.EOF), tlsOnly, "hangs up on TLS", false},
		"an end behind TLS":   {io.EOF, tlsOnly, "--kafka-sasl", false},
		"an end behind both":  {syscall.ECONNRESET, both, "user and password", false},
		"an end behind SASL":  {io.ErrUnexpectedEOF, saslOnly, "give --kafka-tls", false},
		"an end":              {syscall.EPIPE, nil, "--kafka-tls, if it asks for SASL", false},
		"nobody listens":      {syscall.ECONNREFUSED, both, "", false},
		"silence without TLS": {context.DeadlineExceeded, nil, "", false},
		"another error":       {errors.New("broken"), both, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			wrapped := fmt.Errorf("dial 127.0.0.1:9092: %w", test.err)
			got := test.s.Explain(wrapped)
			var access *AccessError
			if !errors.As(got, &access) {
				if test.says != "" || !errors.Is(got, wrapped) {
					t.Errorf("got %v, want %q", got, test.says)
				}
				return
			}
			if test.says == "" || !strings.Contains(access.Do, test.says) || access.Final != test.final {
				t.Errorf("got %+v, want %q, final %t", access, test.says, test.final)
			}
			if !errors.Is(got, wrapped) || !strings.Contains(got.Error(), "127.0.0.1:9092") {
				t.Errorf("%v has lost its reason", got)
			}
			if again := test.s.Explain(got); again != got { //nolint:errorlint // the very same
				t.Errorf("explained twice it says %v", again)
			}
		})
	}
	if err := tlsOnly.Explain(nil); err != nil {
		t.Errorf("nothing is explained as %v", err)
	}
}

// jwt is a token with that payload, unsigned.
func jwt(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig"
}

// TestPrincipals: who a client is to the brokers, as far as it knows.
func TestPrincipals(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := of(Config{TLS: true})
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "app"}}
	named.last = &identity{certificate: []tls.Certificate{{Leaf: leaf}}}
	for name, test := range map[string]struct {
		s    *Security
		want string
	}{
		"nobody":        {nil, "User:ANONYMOUS"},
		"TLS alone":     {of(Config{TLS: true}), "User:ANONYMOUS"},
		"a user":        {of(Config{SASL: SASLScram512, User: "app"}), "User:app"},
		"a certificate": {named, "User:CN=app"},
		"a token": {of(Config{SASL: SASLOAuthBearer, TokenFile: file(jwt(`{"sub":"svc"}`))}),
			"User:svc"},
		"a token without a name": {of(Config{SASL: SASLOAuthBearer, TokenFile: file(jwt(`{}`))}),
			"User:<the token's sub>"},
		"a token of another form": {of(Config{SASL: SASLOAuthBearer, TokenFile: file("opaque")}),
			"User:<the token's sub>"},
		"a token that is no base64": {of(Config{SASL: SASLOAuthBearer, TokenFile: file("a.!!.c")}),
			"User:<the token's sub>"},
		"a client with a secret": {of(Config{SASL: SASLOAuthBearer, Token: TokenClient{ID: "svc"}}), "User:svc"},
		"a user before a certificate": {
			&Security{config: Config{TLS: true, SASL: SASLPlain, User: "app"}, last: named.last}, "User:app",
		},
	} {
		if got := test.s.Principal(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestDescribeShowsNoSecret, whatever is set.
func TestDescribeShowsNoSecret(t *testing.T) {
	for want, s := range map[string]*Security{
		"no TLS, no SASL": nil, "TLS, no SASL": of(Config{TLS: true}), "no TLS, plain": of(Config{SASL: SASLPlain,
			User: "u", Password: "hunter2"}),
		"TLS, scram-sha-512": of(Config{TLS: true, SASL: SASLScram512, User: "u", Password: "hunter2"}),
	} {
		if got := s.Describe(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestOptionsOpenConnections: through the dialer that is given, with TLS around it if asked
// for, and by TCP without one.
func TestOptionsOpenConnections(t *testing.T) {
	dialled := 0
	dial := func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, syscall.ECONNREFUSED
	}
	for name, s := range map[string]*Security{"plain": nil, "SASL": of(Config{SASL: SASLPlain}),
		"TLS": of(Config{TLS: true})} {
		cl, err := kgo.NewClient(append(s.Options(dial), kgo.SeedBrokers("127.0.0.1:1"), kgo.RequestRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		before := dialled
		err = cl.Ping(t.Context())
		cl.Close()
		if !errors.Is(err, syscall.ECONNREFUSED) || dialled == before {
			t.Errorf("%s: dialled %d times, %v", name, dialled-before, err)
		}
	}
	if opts := (*Security)(nil).Options(nil); len(opts) != 1 {
		t.Errorf("a plain client has %d options", len(opts))
	}
}

// TestSettingsThatGoTogether: every flag without the one it needs is refused by both names.
func TestSettingsThatGoTogether(t *testing.T) {
	password, token := Config{SASL: SASLPlain, User: "u", Password: "p"}, Config{SASL: SASLOAuthBearer, TokenFile: "f"}
	client := Config{SASL: SASLOAuthBearer, Token: TokenClient{URL: "https://i/t", ID: "i", Secret: "s"}}
	for _, good := range []Config{{}, {TLS: true}, password, token, client} {
		if err := good.check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for name, test := range map[string]struct {
		base   Config
		change func(*Config)
		says   string
	}{
		"a name without TLS": {Config{}, func(c *Config) { c.ServerName = "n" },
			"--kafka-tls-server-name needs --kafka-tls"},
		"a key without TLS": {Config{}, func(c *Config) { c.KeyFile = "k" }, "--kafka-key needs --kafka-tls"},
		"a password without SASL": {Config{}, func(c *Config) { c.Password = "p" },
			"$TASKLANE_KAFKA_PASSWORD needs --kafka-sasl"},
		"a token with a password": {password, func(c *Config) { c.TokenFile = "t" },
			"--kafka-token-file needs --kafka-sasl oauthbearer"},
		"a user with a token": {token, func(c *Config) { c.User = "u" }, "--kafka-user needs --kafka-sasl plain"},
		"two tokens":          {token, func(c *Config) { c.Token = client.Token }, "keep one"},
		"two secrets":         {client, func(c *Config) { c.Token.SecretFile = "f" }, "keep one"},
		"an id without an issuer": {token, func(c *Config) { c.Token.ID = "i" },
			"--kafka-client-id needs --kafka-token-url"},
		"scopes without one": {token, func(c *Config) { c.Token.Scopes = "a" },
			"--kafka-scope needs --kafka-token-url"},
		"an issuer without a secret": {client, func(c *Config) { c.Token.Secret = "" }, "--kafka-client-secret-file"},
		"an issuer by another way":   {client, func(c *Config) { c.Token.URL = "ftp://i/t" }, "token endpoint"},
		"a secret in the clear":      {client, func(c *Config) { c.Token.URL = "http://10.0.0.1/t" }, "use https"},
	} {
		c := test.base
		if test.change(&c); c.check() == nil || !strings.Contains(c.check().Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, c.check(), test.says)
		}
	}
	for _, url := range []string{"http://localhost:8080/t", "http://127.0.0.1/t", "http://[::1]/t"} {
		c := client
		if c.Token.URL = url; c.check() != nil {
			t.Errorf("%s, which stays on this machine: %v", url, c.check())
		}
	}
}

// TestTokensAreRefusedInWords: what the broker answers is shown, cut.
func TestTokensAreRefusedInWords(t *testing.T) {
	err := error(&tokenRefusedError{strings.Repeat("x", 1000)})
	if text := err.Error(); len(text) > 400 || !strings.Contains(text, "refuses the token") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	issuer := error(&tokenIssuerError{url: "https://issuer/t", err: fmt.Errorf("%s: %w", strings.Repeat("y", 2000),
		io.EOF)})
	if text := issuer.Error(); len(text) > 700 || !strings.Contains(text, "https://issuer/t") || !errors.Is(issuer,
		io.EOF) {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	session := bearerSession{}
	if done, _, err := session.Challenge([]byte(`{"status":"invalid_token"}`)); done || !strings.Contains(err.Error(),
		"invalid_token") {
		t.Errorf("done %t, %v", done, err)
	}
}
