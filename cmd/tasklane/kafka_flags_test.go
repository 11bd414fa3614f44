package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/kafkatest"
)

// withBrokers are the commands that talk to Kafka.
func withBrokers() []string {
	return []string{"up", "producer", "processor", "notifier", "topics ensure"}
}

// TestSecurityFlagsAreEverywhere: every command with --brokers has them, with a
// variable each, and says what is wrong with them before it waits for Kafka.
func TestSecurityFlagsAreEverywhere(t *testing.T) {
	const names = "tls ca cert key tls-server-name sasl user password-file token-file token-url " +
		"client-id client-secret-file scope"
	missing := filepath.Join(t.TempDir(), "none")
	for _, command := range withBrokers() {
		help := run(t, append(strings.Fields(command), "--help")).stdout
		for _, name := range strings.Fields(names) {
			if variable := variableOf("kafka-" + name); !strings.Contains(help, "--kafka-"+name+" ") ||
				!strings.Contains(help, "$"+variable) {
				t.Errorf("%s: no --kafka-%s with %s in the help", command, name, variable)
			}
		}
		for flags, want := range map[string]string{
			"--kafka-tls --kafka-ca " + missing:                                  missing,
			"--kafka-ca " + missing:                                              "--kafka-ca needs --kafka-tls",
			"--kafka-sasl kerberos":                                              "scram-sha-512",
			"--kafka-sasl plain --kafka-user u":                                  "--kafka-password-file",
			"--kafka-sasl plain --kafka-user u --kafka-password-file " + missing: missing,
			"--kafka-sasl oauthbearer --kafka-token-file " + missing:             missing,
			"--kafka-sasl plain --kafka-user u --kafka-password hunter2": "--kafka-password: want a " +
				"secret in a file or in the environment",
			"--kafka-sasl oauthbearer --kafka-token-url https://i --kafka-client-secret=hunter2": "--kafka-client-secret: " +
				"want a secret in a file",
		} {
			got := run(t, strings.Fields(command+" --brokers 127.0.0.1:1 "+flags), "TASKLANE_DATA_DIR="+t.TempDir())
			if got.code != exitUsage || !strings.Contains(got.stderr, want) {
				t.Errorf("%s %s: exit code %d, want %d and %q in\n%s", command, flags, got.code, exitUsage, want, got.stderr)
			}
			if strings.Contains(got.stderr, "hunter2") {
				t.Errorf("%s %s: the secret is in %s", command, flags, got.stderr)
			}
		}
	}
	got := run(t, []string{"up", "--kafka-tls"}, "TASKLANE_DATA_DIR="+t.TempDir())
	if got.code != exitUsage || !strings.Contains(got.stderr, "--brokers") {
		t.Errorf("for the embedded broker: exit code %d, %s", got.code, got.stderr)
	}
}

// TestSecretsComeFromTheEnvironment or a file, and a start that is refused ends.
func TestSecretsComeFromTheEnvironment(t *testing.T) {
	authority := kafkatest.NewAuthority(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(authority.Server(time.Now().Add(time.Hour))),
		kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "tasklane", "hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"topics", "ensure", "--partitions", "1"}
	common := []string{
		"TASKLANE_BROKERS=" + strings.Join(cluster.ListenAddrs(), ","), "TASKLANE_KAFKA_SASL=scram-sha-256",
		"TASKLANE_KAFKA_USER=tasklane", "TASKLANE_KAFKA_TLS=true",
	}
	ours := slices.Concat(common, []string{"TASKLANE_KAFKA_CA=" + authority.File})
	for name, secret := range map[string]string{"variable": "TASKLANE_KAFKA_PASSWORD=hunter2",
		"file": "TASKLANE_KAFKA_PASSWORD_FILE=" + file} {
		if got := run(t, args, append(ours, secret)...); got.code != exitFine ||
			strings.Contains(got.stderr+got.stdout, "hunter2") {
			t.Errorf("password in a %s: exit code %d, %s", name, got.code, got.stderr)
		}
	}
	got := run(t, args, append(common, "TASKLANE_KAFKA_PASSWORD=hunter2")...)
	if got.code != exitUnreachable || !strings.Contains(got.stderr, "--kafka-ca") ||
		strings.Contains(got.stderr, "hunter2") {
		t.Errorf("an authority that is not known: exit code %d, %s", got.code, got.stderr)
	}
}
