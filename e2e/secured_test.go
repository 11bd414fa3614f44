//go:build secured

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// secured is an Apache Kafka with TLS, SASL and an authorizer, as
// scripts/kafka/up.sh starts it with TASKLANE_KAFKA_SECURED=1.
type secured struct {
	t                          *testing.T
	admin                      *kadm.Client // may do everything
	plain, sasl, mtls, scram   string       // host:port
	certs, prefix, passwordDir string
}

const password = "correct horse"

func newSecured(t *testing.T) *secured {
	t.Helper()
	i := newInstallation(t)
	ports := strings.Split(os.Getenv("TASKLANE_TEST_SECURED"), ",")
	if i.brokers == "" || len(ports) != 3 {
		t.Fatal("run these with: TASKLANE_KAFKA_SECURED=1 TASKLANE_TEST_FLAGS='-tags secured -run Secured' " +
			"scripts/kafka/test.sh ./e2e")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(i.brokers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &secured{
		t: t, admin: kadm.NewClient(client), plain: i.brokers, sasl: ports[0], mtls: ports[1], scram: ports[2],
		certs: os.Getenv("TASKLANE_TEST_CERTS"), prefix: i.prefix, passwordDir: t.TempDir(),
	}
}

func (k *secured) ca() string { return filepath.Join(k.certs, "ca.pem") }

// secret is a file with a secret.
func (k *secured) secret(content string) string {
	k.t.Helper()
	file, err := os.CreateTemp(k.passwordDir, "")
	if err == nil {
		_, err = file.WriteString(content + "\n")
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return file.Name()
}

// user makes a user for SCRAM.
func (k *secured) user(name string) {
	k.t.Helper()
	// a user stands in a request once
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		altered, err := k.admin.AlterUserSCRAMs(k.t.Context(), nil,
			[]kadm.UpsertSCRAM{{User: name, Mechanism: mechanism, Iterations: 4096, Password: password}})
		if err == nil {
			err = altered.Error()
		}
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

// as are the flags of a role that is a user.
func (k *secured) as(user string) []string {
	return []string{
		"--brokers", k.sasl, "--topic-prefix", k.prefix, "--kafka-tls", "--kafka-ca", k.ca(),
		"--kafka-sasl", "scram-sha-512", "--kafka-user", user, "--kafka-password-file", k.secret(password),
	}
}

// client is a plain client of a user, as somebody else's program has one.
func (k *secured) client(user string, opts ...kgo.Opt) *kgo.Client {
	k.t.Helper()
	pem, err := os.ReadFile(k.ca())
	if err != nil {
		k.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.sasl),
		kgo.DialTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))...)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(client.CloseAllowingRebalance)
	return client
}

// command runs the binary to its end, which has to come by itself.
func (k *secured) command(args ...string) (code int, said string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), deadline)
	defer cancel()
	command := exec.CommandContext(ctx, binary(), args...)
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		k.t.Errorf("tasklane %s: it hangs, and says\n%s", strings.Join(args, " "), tail(string(out), 2000))
	} else if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// TestSecuredConnections: every way to prove who one is, and what is said where
// that fails.
func TestSecuredConnections(t *testing.T) {
	k := newSecured(t)
	for _, name := range []string{"tl-scram", "tl-oauth"} {
		k.user(name)
	}
	for _, name := range []string{"plain", "tl-scram", "tl-oauth", "mtls"} {
		k.allow(acl{principal: "User:" + name, operation: kadm.OpCreate, kind: "topic", name: "*"})
		k.allow(acl{principal: "User:" + name, operation: kadm.OpDescribe, kind: "topic", name: "*"})
	}
	ca, cert, key := k.ca(), filepath.Join(k.certs, "mtls.crt"), filepath.Join(k.certs, "mtls.key")
	right, wrong := k.secret(password), k.secret("guessed")
	token := k.secret(unsecured("tl-oauth", time.Now().Add(time.Hour)))
	old := k.secret(unsecured("tl-oauth", time.Now().Add(-time.Hour)))
	for name, test := range map[string]struct {
		flags string
		code  int
		says  string
	}{
		"PLAIN": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl plain --kafka-user plain --kafka-password-file " + k.secret("plain-secret"), 0, ""},
		"SCRAM-SHA-256": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl scram-sha-256 --kafka-user tl-scram --kafka-password-file " + right, 0, ""},
		"SCRAM-SHA-512": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl scram-sha-512 --kafka-user tl-scram --kafka-password-file " + right, 0, ""},
		"without TLS": {"--brokers " + k.scram +
			" --kafka-sasl scram-sha-256 --kafka-user tl-scram --kafka-password-file " + right, 0, ""},
		"OAUTHBEARER": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl oauthbearer --kafka-token-file " + token, 0, ""},
		"mTLS": {"--brokers " + k.mtls + " --kafka-tls --kafka-ca " + ca + " --kafka-cert " + cert +
			" --kafka-key " + key, 0, ""},

		"wrong password of PLAIN": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl plain --kafka-user plain --kafka-password-file " + wrong, 3, "check --kafka-user"},
		"wrong password of SCRAM": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl scram-sha-256 --kafka-user tl-scram --kafka-password-file " + wrong, 3, "check --kafka-user"},
		"unknown user": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl scram-sha-512 --kafka-user nobody --kafka-password-file " + right, 3, "check --kafka-user"},
		"expired token": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca " + ca +
			" --kafka-sasl oauthbearer --kafka-token-file " + old, 3, "token"},
		"mechanism not there": {"--brokers " + k.scram +
			" --kafka-sasl scram-sha-512 --kafka-user tl-scram --kafka-password-file " + right, 3, "sasl.enabled.mechanisms"},
		"unknown authority": {"--brokers " + k.sasl +
			" --kafka-tls --kafka-sasl scram-sha-512 --kafka-user tl-scram --kafka-password-file " + right, 3, "--kafka-ca"},
		"no client certificate":  {"--brokers " + k.mtls + " --kafka-tls --kafka-ca " + ca, 3, "--kafka-cert"},
		"TLS to a plain port":    {"--brokers " + k.plain + " --kafka-tls --kafka-ca " + ca, 3, "leave --kafka-tls out"},
		"plain to a TLS port":    {"--brokers " + k.mtls, 3, "give --kafka-tls"},
		"plain to SASL with TLS": {"--brokers " + k.sasl, 3, "give --kafka-tls"},
		"no SASL to a SASL port": {"--brokers " + k.scram, 3, "give --kafka-sasl"},
		"SASL to a plain port": {"--brokers " + k.plain +
			" --kafka-sasl scram-sha-256 --kafka-user tl-scram --kafka-password-file " + right, 3, "leave --kafka-sasl out"},
		"no such file": {"--brokers " + k.sasl + " --kafka-tls --kafka-ca /no/such/file", 2, "--kafka-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said := k.command(append(strings.Fields("topics ensure --partitions 1 "+test.flags), "--topic-prefix",
				k.prefix)...)
			if code != test.code || !strings.Contains(said, test.says) {
				t.Errorf("ended with %d, want %d and %q in\n%s", code, test.code, test.says, tail(said, 2000))
			}
			for _, secret := range []string{password, "guessed", "plain-secret"} {
				if strings.Contains(said, secret) {
					t.Errorf("the secret %q is in\n%s", secret, said)
				}
			}
		})
	}
}

// unsecured is a token that only Kafka's validator for tests takes.
func unsecured(subject string, ends time.Time) string {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return encode(`{"alg":"none"}`) + "." + encode(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject,
		ends.Add(-2*time.Hour).Unix(), ends.Unix())) + "."
}
