package kafkatest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// failing takes note of how a test failed, and goes on in its place.
type failing struct {
	testing.TB
	fatal, errors string
}

func (f *failing) Helper() {}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *failing) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *failing) Errorf(format string, args ...any) { f.errors += fmt.Sprintf(format, args...) + "\n" }

// within runs what fails a test, by itself.
func within(t *testing.T, do func(testing.TB)) *failing {
	t.Helper()
	f := &failing{TB: t}
	var running sync.WaitGroup
	running.Go(func() { do(f) })
	running.Wait()
	return f
}

// TestEventuallyIsBounded, and returns with what it waits for.
func TestEventuallyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := within(t, func(t testing.TB) { kafkatest.Eventually(t, "the end of time", func() bool { return false }) })
		if took := time.Since(began); took < kafkatest.Noticed || !strings.Contains(f.fatal, "the end of time") {
			t.Errorf("after %v it failed with %q", took, f.fatal)
		}
		asked := 0
		began = time.Now()
		kafkatest.Eventually(t, "the third question", func() bool { asked++; return asked == 3 })
		if took := time.Since(began); asked != 3 || took > time.Second {
			t.Errorf("asked %d times in %v", asked, took)
		}
	})
}

// TestMustSay wants an error and each of the parts.
func TestMustSay(t *testing.T) {
	err := errors.New("the broker is away")
	if f := within(t, func(t testing.TB) { kafkatest.MustSay(t, err, "broker", "away") }); f.fatal != "" ||
		f.errors != "" {
		t.Errorf("all of it is there: %s%s", f.fatal, f.errors)
	}
	if f := within(t, func(t testing.TB) {
		kafkatest.MustSay(t, err, "broker", "here",
			"there")
	}); strings.Count(f.errors, "does not say") != 2 {
		t.Errorf("two of three are missing: %q", f.errors)
	}
	if f := within(t, func(t testing.TB) { kafkatest.MustSay(t, nil) }); f.fatal == "" {
		t.Error("no error passes")
	}
}

// TestInstallationsAreApart: no two tests, on whatever cluster, have a topic in common.
func TestInstallationsAreApart(t *testing.T) {
	a, b := kafkatest.NewInstallation(t), kafkatest.NewInstallation(t)
	if a.Spec.Topics == b.Spec.Topics {
		t.Fatalf("both have the prefix %q", a.Spec.Topics.Prefix)
	}
	report := a.MustEnsure(t)
	if len(report.Topics) == 0 {
		t.Fatal("no topics")
	}
	for _, topic := range report.Topics {
		if !strings.HasPrefix(topic.Name, a.Spec.Topics.Prefix) || !topic.Created {
			t.Errorf("%+v", topic)
		}
	}
	b.Create(t, b.Spec.Topics.Lane(schemas.LaneFast), 7, nil)
	found, err := b.Admin.ListTopics(t.Context(), b.Spec.Topics.Lane(schemas.LaneFast))
	if err != nil || len(found[b.Spec.Topics.Lane(schemas.LaneFast)].Partitions) != 7 {
		t.Errorf("%v, %v", found, err)
	}
	if brokers := a.Brokers(); len(brokers) == 0 || !strings.Contains(brokers[0], ":") {
		t.Errorf("the brokers are %q", brokers)
	}
	other := a.Through(b.Client)
	if other.Spec.Topics != a.Spec.Topics || other.Client != b.Client || a.Client == b.Client {
		t.Error("an installation through another client is another")
	}
}

// TestKillableKeepsItsDataAndAddress, and forgets its members.
func TestKillableKeepsItsDataAndAddress(t *testing.T) {
	k := kafkatest.StartKillable(t)
	addr := k.Addr()
	cl := kafkatest.Client(t, addr, kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("kept"))
	kafkatest.Installation{}.Through(cl).Create(t, "kept", 1, nil)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	k.Kill()
	dialer := net.Dialer{Timeout: time.Second}
	if conn, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("it answers after it was killed")
	}
	k.Restart()
	if k.Addr() != addr {
		t.Errorf("it has the address %s, and had %s", k.Addr(), addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), kafkatest.Noticed)
	defer cancel()
	var got []*kgo.Record
	for len(got) == 0 && ctx.Err() == nil {
		got = cl.PollFetches(ctx).Records()
	}
	if len(got) != 1 || string(got[0].Value) != "v" {
		t.Errorf("it has %d records", len(got))
	}
}

// TestEmbeddedWhateverTheEnvironmentSays.
func TestEmbeddedWhateverTheEnvironmentSays(t *testing.T) {
	t.Setenv(kafkatest.BrokersEnv, "127.0.0.1:1,127.0.0.1:2")
	if !kafkatest.External() || kafkatest.Start(t) != os.Getenv(kafkatest.BrokersEnv) {
		t.Error("the brokers that the environment names are not taken")
	}
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: t.TempDir()})
	if err := kafkatest.Client(t, addr).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	stop() // once more, as at cleanup
	if f := within(t, func(t testing.TB) {
		kafkatest.StartEmbedded(t,
			broker.Config{DataDir: "/dev/null/x"})
	}); f.fatal == "" {
		t.Error("a broker without a directory runs")
	}
}

// TestAuthorityIssuesWhatTLSTakes: between those who believe it, for the names it was asked
// for, and for as long.
func TestAuthorityIssuesWhatTLSTakes(t *testing.T) {
	authority, stranger := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t)
	pem, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's file has no certificate")
	}
	hour := time.Now().Add(time.Hour)
	handshake := func(server *tls.Config, name string) error {
		socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		defer serving.Wait()
		defer socket.Close()
		serving.Go(func() {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_ = tls.Server(conn, server).HandshakeContext(t.Context()) // the client says how that went
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: name}}
		conn, err := dialer.DialContext(ctx, "tcp", socket.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	var invalid x509.CertificateInvalidError
	if err := handshake(authority.Server(hour), "127.0.0.1"); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := handshake(authority.Server(hour), "broker"); err != nil {
		t.Errorf("by its name: %v", err)
	}
	if err := handshake(authority.Server(hour), "elsewhere"); !errors.As(err, &other) {
		t.Errorf("another name: %v", err)
	}
	if err := handshake(authority.Server(time.Now().Add(-time.Minute)), "broker"); !errors.As(err, &invalid) {
		t.Errorf("one that has expired: %v", err)
	}
	if err := handshake(stranger.Server(hour), "broker"); !errors.As(err, &unknown) {
		t.Errorf("a stranger's: %v", err)
	}
	if _, err := tls.LoadX509KeyPair(authority.Issue("client", hour)); err != nil {
		t.Errorf("a client's: %v", err)
	}
}
