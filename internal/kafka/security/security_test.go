package security_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/security"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// safeCluster is an engine that asks for something.
func safeCluster(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

func newSecurity(t *testing.T, c security.Config) *security.Security {
	t.Helper()
	s, err := security.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reach connects and says how that went.
func reach(t *testing.T, brokers []string, s *security.Security) error {
	t.Helper()
	return kafka.Reach(t.Context(), kafkatest.NewClient(t, kafka.Config{Brokers: brokers, Security: s}), s)
}

// mustRefuse demands that brokers cannot be reached, and that the reason says so. Where a restart of the broker would
// look the same it is tried for as long as there is time; what cannot be told in little is looked for in more.
func mustRefuse(t *testing.T, brokers []string, s *security.Security, says ...string) {
	t.Helper()
	client := kafkatest.NewClient(t, kafka.Config{Brokers: brokers, Security: s})
	for within := 2 * time.Second; ; within *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err := kafka.Reach(ctx, client, s)
		cancel()
		told := err != nil
		for _, part := range says {
			told = told && strings.Contains(err.Error(), part)
		}
		if told && errors.Is(err, kafka.ErrUnreachable) {
			return
		}
		if err == nil || within > 10*time.Second {
			t.Errorf("got %v, want that it cannot be reached and %q", err, says)
			return
		}
	}
}

func TestSASL(t *testing.T) {
	t.Parallel()
	brokers := safeCluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "p", "secret"),
		kfake.Superuser("SCRAM-SHA-256", "s2", "secret"), kfake.Superuser("SCRAM-SHA-512", "s5", "secret"))
	for mechanism, user := range map[string]string{security.SASLPlain: "p", security.SASLScram256: "s2",
		security.SASLScram512: "s5", "SCRAM-SHA-512": "s5"} {
		c := security.Config{SASL: mechanism, User: user, Password: "secret"}
		if err := reach(t, brokers, newSecurity(t, c)); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		c.Password, c.PasswordFile = "", secretFile(t, "secret\n")
		if err := reach(t, brokers, newSecurity(t, c)); err != nil {
			t.Errorf("%s with a file: %v", mechanism, err)
		}
	}
}

// TestWhatIsRefused is told of at once: waiting does not change it.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mechanism string
		answer    *kerr.Error
		says      []string
	}{
		{security.SASLPlain, kerr.SaslAuthenticationFailed,
			[]string{"--kafka-user", "--kafka-password-file", "--kafka-sasl plain"}},
		{security.SASLScram256, kerr.SaslAuthenticationFailed,
			[]string{"--kafka-user", "--kafka-password-file", "--kafka-sasl scram-sha-256"}},
		{security.SASLOAuthBearer, kerr.SaslAuthenticationFailed, []string{"token", "--kafka-token-file"}},
		{security.SASLOAuthBearer, nil, []string{"invalid_token", "--kafka-token-file"}},
		{security.SASLScram512, kerr.UnsupportedSaslMechanism, []string{"SCRAM-SHA-512", "sasl.enabled.mechanisms"}},
		{security.SASLPlain, kerr.IllegalSaslState, []string{"leave --kafka-sasl out"}},
	} {
		brokers := refusing(t, test.answer)
		c := security.Config{SASL: test.mechanism, User: "u", Password: "guessed"}
		if test.mechanism == security.SASLOAuthBearer {
			c = security.Config{SASL: test.mechanism, TokenFile: secretFile(t, "guessed")}
		}
		err := reach(t, brokers, newSecurity(t, c))
		var access *security.AccessError
		if !errors.Is(err, kafka.ErrUnreachable) || !errors.As(err, &access) || !access.Final ||
			strings.Contains(fmt.Sprint(err), "guessed") {
			t.Errorf("%s: got %v", test.mechanism, err)
		}
		kafkatest.MustSay(t, err, append(test.says, brokers[0])...)
	}
}

// refusing is a cluster that answers SASL as Apache Kafka refuses it; without an
// error, as it refuses a token.
func refusing(t *testing.T, answer *kerr.Error) []string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		switch req := req.(type) {
		case *kmsg.SASLHandshakeRequest:
			resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
			if answer != nil && answer != kerr.SaslAuthenticationFailed {
				resp.ErrorCode = answer.Code
			}
			return resp, nil, true
		case *kmsg.SASLAuthenticateRequest:
			resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			resp.SASLAuthBytes = []byte(`{"status":"invalid_token"}`)
			if answer != nil {
				resp.ErrorCode, resp.SASLAuthBytes = answer.Code, nil
			}
			return resp, nil, true
		}
		return nil, nil, false
	})
	return cluster.ListenAddrs()
}

// TestPasswordsAreReadAgain for every connection, so that they can be changed.
func TestPasswordsAreReadAgain(t *testing.T) {
	t.Parallel()
	file := secretFile(t, "old")
	s := newSecurity(t, security.Config{SASL: security.SASLScram256, User: "u", PasswordFile: file})
	brokers := safeCluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "u", "new"))
	mustRefuse(t, brokers, s, "check --kafka-sasl, user and password")
	if err := os.WriteFile(file, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reach(t, brokers, s); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	authority, hour := kafkatest.NewAuthority(t), time.Now().Add(time.Hour)
	brokers := safeCluster(t, kfake.TLS(authority.Server(hour)))
	if err := reach(t, brokers, newSecurity(t, security.Config{TLS: true, CAFile: authority.File})); err != nil {
		t.Error(err)
	}
	if err := reach(t, brokers, newSecurity(t,
		security.Config{TLS: true, CAFile: authority.File, ServerName: "broker"})); err != nil {
		t.Error(err)
	}
	mustRefuse(t, brokers, newSecurity(t, security.Config{TLS: true}), "authority", "--kafka-ca")
	other := kafkatest.NewAuthority(t)
	mustRefuse(t, brokers, newSecurity(t, security.Config{TLS: true, CAFile: other.File}), "authority", "--kafka-ca")
	mustRefuse(t, brokers, newSecurity(t,
		security.Config{TLS: true, CAFile: authority.File, ServerName: "elsewhere"}),
		"another name", "--kafka-tls-server-name")
	expired := safeCluster(t, kfake.TLS(authority.Server(time.Now().Add(-time.Minute))))
	mustRefuse(t, expired, newSecurity(t, security.Config{TLS: true, CAFile: authority.File}), "expired", "renew")
}

// TestTwoEndsThatSpeakDifferently: both ways of TLS, and of SASL.
func TestTwoEndsThatSpeakDifferently(t *testing.T) {
	t.Parallel()
	authority := kafkatest.NewAuthority(t)
	plain, safe := safeCluster(t), safeCluster(t, kfake.TLS(authority.Server(time.Now().Add(time.Hour))))
	sasl := safeCluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "u", "p"))
	withTLS := newSecurity(t, security.Config{TLS: true, CAFile: authority.File})
	scram := newSecurity(t, security.Config{SASL: security.SASLScram512, User: "u", Password: "p"})
	var reached sync.WaitGroup
	for name, test := range map[string]struct {
		brokers  []string
		security *security.Security
		says     string
	}{
		"TLS to a plain port":   {plain, withTLS, "leave --kafka-tls out"},
		"plain to a TLS port":   {safe, nil, "give --kafka-tls"},
		"none to a SASL port":   {sasl, nil, "give --kafka-sasl"},
		"a mechanism not there": {sasl, scram, "--kafka-sasl"},
	} {
		client := kafkatest.NewClient(t, kafka.Config{Brokers: test.brokers, Security: test.security})
		reached.Go(func() { // all at once: it is tried for as long as it ever is
			err := kafka.Reach(t.Context(), client, test.security)
			if !errors.Is(err, kafka.ErrUnreachable) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: got %v, want that it cannot be reached and %q", name, err, test.says)
			}
		})
	}
	reached.Wait()
}

// TestClientCertificates are asked for, and read again after they were changed.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	authority, stranger, hour := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t), time.Now().Add(time.Hour)
	server := authority.Server(hour)
	server.ClientAuth = tls.RequireAndVerifyClientCert
	brokers := safeCluster(t, kfake.TLS(server))
	mustRefuse(t, brokers, newSecurity(t, security.Config{TLS: true, CAFile: authority.File}), "--kafka-cert")
	cert, key := stranger.Issue("client", hour)
	log := new(bytes.Buffer)
	s := newSecurity(t, security.Config{
		TLS: true, CAFile: authority.File, CertFile: cert, KeyFile: key, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	mustRefuse(t, brokers, s, "client's certificate", "--kafka-cert")
	newCert, newKey := authority.Issue("client", hour)
	move(t, newKey, key) // for this moment the two do not fit together
	mustRefuse(t, brokers, s, "--kafka-cert")
	if !strings.Contains(log.String(), "going on with what was in them before") {
		t.Errorf("the log says nothing of files that do not fit together: %s", log)
	}
	move(t, newCert, cert)
	if err := reach(t, brokers, s); err != nil {
		t.Errorf("after the files were changed: %v", err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestSecurityRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	authority := kafkatest.NewAuthority(t)
	cert, key := authority.Issue("client", time.Now().Add(time.Hour))
	oldCert, oldKey := authority.Issue("client", time.Now().Add(-time.Hour))
	missing, empty := filepath.Join(t.TempDir(), "none"), secretFile(t, "\n")
	for _, test := range []struct {
		config security.Config
		says   []string
	}{
		{security.Config{CAFile: authority.File}, []string{"--kafka-ca needs --kafka-tls"}},
		{security.Config{TLS: true, CertFile: cert}, []string{"--kafka-cert needs --kafka-key"}},
		{security.Config{TLS: true, KeyFile: key}, []string{"--kafka-key needs --kafka-cert"}},
		{security.Config{TLS: true, CAFile: missing}, []string{"--kafka-ca", missing}},
		{security.Config{TLS: true, CAFile: key}, []string{"--kafka-ca", "no certificate"}},
		{security.Config{TLS: true, CertFile: missing, KeyFile: key}, []string{"--kafka-cert", missing}},
		{security.Config{TLS: true, CertFile: cert, KeyFile: missing}, []string{"--kafka-key", missing}},
		{security.Config{TLS: true, CertFile: cert, KeyFile: oldKey}, []string{"--kafka-cert", "belongs to the certificate"}},
		{security.Config{TLS: true, CertFile: oldCert, KeyFile: oldKey}, []string{"--kafka-cert", "expired"}},
		{security.Config{SASL: "gssapi"}, []string{"--kafka-sasl", "scram-sha-512"}},
		{security.Config{SASL: "plain", Password: "p"}, []string{"needs --kafka-user"}},
		{security.Config{SASL: "plain", User: "u"}, []string{"--kafka-password-file", "TASKLANE_KAFKA_PASSWORD"}},
		{security.Config{SASL: "plain", User: "u", PasswordFile: missing}, []string{"--kafka-password-file", missing}},
		{security.Config{SASL: "plain", User: "u", PasswordFile: empty}, []string{"--kafka-password-file", "empty"}},
		{security.Config{SASL: "plain", User: "u", Password: "p", PasswordFile: empty}, []string{"keep one"}},
		{security.Config{User: "u"}, []string{"--kafka-user needs --kafka-sasl"}},
		{security.Config{SASL: "oauthbearer"}, []string{"--kafka-token-file"}},
		{security.Config{SASL: "oauthbearer", TokenFile: missing}, []string{"--kafka-token-file", missing}},
		{security.Config{SASL: "oauthbearer", Token: security.TokenClient{URL: "https://issuer/token"}},
			[]string{"--kafka-client-id"}},
		{security.Config{SASL: "oauthbearer", Token: security.TokenClient{URL: "http://issuer/token", ID: "i", Secret: "s"}},
			[]string{"use https"}},
		{security.Config{SASL: "oauthbearer", Token: security.TokenClient{URL: "issuer", ID: "i", Secret: "s"}},
			[]string{"--kafka-token-url"}},
		{security.Config{SASL: "oauthbearer", Token: security.TokenClient{URL: "https://issuer", ID: "i",
			SecretFile: missing}},
			[]string{"--kafka-client-secret-file", missing}},
		{security.Config{TLS: true, TokenFile: missing}, []string{"--kafka-token-file needs --kafka-sasl oauthbearer"}},
	} {
		s, err := security.New(test.config)
		if s != nil || err == nil {
			t.Errorf("%+v: accepted", test.config)
			continue
		}
		kafkatest.MustSay(t, err, test.says...)
	}
	if s, err := security.New(security.Config{}); s != nil || err != nil {
		t.Errorf("nothing asked for: %v, %v", s, err)
	}
}

// TestSecurityWarns of files that others can read, and of passwords on the
// network.
func TestSecurityWarns(t *testing.T) {
	t.Parallel()
	file := secretFile(t, "hunter2")
	warnings := func(c security.Config) string {
		log := new(bytes.Buffer)
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
		newSecurity(t, c)
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("the log has the password: %s", log)
		}
		return log.String()
	}
	if got := warnings(security.Config{TLS: true, SASL: "plain", User: "u", PasswordFile: file}); got != "" {
		t.Errorf("nothing is wrong, and it warns: %s", got)
	}
	if got := warnings(security.Config{SASL: "plain", User: "u", PasswordFile: file}); !strings.Contains(got,
		"--kafka-tls") {
		t.Errorf("a password in the clear: %q", got)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]security.Config{
		"password": {TLS: true, SASL: "plain", User: "u", PasswordFile: file},
		"token":    {TLS: true, SASL: "oauthbearer", TokenFile: file},
		"client": {TLS: true, SASL: "oauthbearer",
			Token: security.TokenClient{URL: "https://issuer", ID: "i", SecretFile: file}},
	} {
		if got := warnings(c); !strings.Contains(got, file) || !strings.Contains(got, "chmod 600") {
			t.Errorf("%s that others can read: %q", name, got)
		}
	}
}

// TestTokensOfAnIssuer: they are kept while they are valid, and the secret is
// read again.
func TestTokensOfAnIssuer(t *testing.T) {
	t.Parallel()
	var asked []string
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		asked = append(asked, fmt.Sprint(id, "/", secret, "/", r.FormValue("grant_type"), "/", r.FormValue("scope")))
		if secret != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}`)
	}))
	t.Cleanup(issuer.Close)
	file := secretFile(t, "wrong")
	token, err := security.NewToken(security.Config{Token: security.TokenClient{URL: issuer.URL, ID: "tasklane",
		SecretFile: file, Scopes: "a b"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token(t.Context()); err == nil || strings.Contains(err.Error(), "wrong") ||
		!strings.Contains(err.Error(), issuer.URL) {
		t.Errorf("with a wrong secret: %v", err)
	}
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := token(t.Context()); got != "t1" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if last := asked[len(asked)-1]; last != "tasklane/secret/client_credentials/a b" {
		t.Errorf("the issuer was asked %q", last)
	}
	if n := len(asked); n > 3 {
		t.Errorf("the issuer was asked %d times: a token that is valid is kept", n)
	}
}

// TestSlowTLSEnds: a port that takes connections and says nothing does not hold
// the start up.
func TestSlowTLSEnds(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	authority := kafkatest.NewAuthority(t)
	mustRefuse(t, []string{silent.Addr().String()}, newSecurity(t, security.Config{TLS: true, CAFile: authority.File}))
}
