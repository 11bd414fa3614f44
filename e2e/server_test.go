package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// server is a running tasklane process.
type server struct {
	t       *testing.T
	command *exec.Cmd
	exited  chan struct{} // closed when the process has ended
	log     *safeBuffer
	// From the ready line.
	api, notifier, kafka string
}

// safeBuffer keeps the end of a process's log.
type safeBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	total int
}

// written is how many bytes there were in all.
func (b *safeBuffer) written() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total += len(p)
	if b.buf.Len() > 4<<20 {
		b.buf.Next(2 << 20)
	}
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// installation is what survives the processes of a test: ports, data and, on
// Apache Kafka, the prefix of its topics.
type installation struct {
	brokers, prefix, dir      string
	api, notifier, brokerAddr string
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	i := &installation{dir: t.TempDir(), brokers: os.Getenv(brokersEnv)}
	if i.brokers != "" {
		var b [4]byte
		_, _ = rand.Read(b[:])
		i.prefix = "e2e-" + hex.EncodeToString(b[:]) + "."
	}
	free := freePorts(t, 3)
	i.api, i.notifier, i.brokerAddr = free[0], free[1], free[2]
	return i
}

// freePorts are addresses for processes of a test that may be killed and started again.
func freePorts(t *testing.T, count int) []string {
	t.Helper()
	addresses, err := program.FreeAddresses(t.Context(), filepath.Dir(binary()), count)
	if err != nil {
		t.Fatal(err)
	}
	return addresses
}

// seeds are the brokers a test's own client connects to.
func (i *installation) seeds() []string {
	if i.brokers != "" {
		return strings.Split(i.brokers, ",")
	}
	return []string{i.brokerAddr}
}

// kafkaFlags point a role at the installation's Kafka.
func (i *installation) kafkaFlags() []string {
	brokers := i.brokers
	if brokers == "" {
		brokers = i.brokerAddr
	}
	return []string{"--brokers", brokers, "--topic-prefix", i.prefix}
}

// up starts everything and waits until it is ready.
func (i *installation) up(t *testing.T, more ...string) *server {
	t.Helper()
	s := start(t, i.upArgs(more...)...)
	s.waitReady()
	return s
}

// upArgs are the arguments that start everything.
func (i *installation) upArgs(more ...string) []string {
	args := []string{"up", "--api-addr", i.api, "--notifier-addr", i.notifier, "--data-dir", i.dir, "--log-format", "json"}
	if i.brokers != "" {
		args = append(args, i.kafkaFlags()...)
	} else {
		args = append(args, "--broker-addr", i.brokerAddr)
	}
	return append(args, more...)
}

// start runs the binary and waits until it is ready.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s, lines := launch(t, args...)
	s.readLines(lines)
	return s
}

// launch runs the binary, which may end before it is ready; the process is
// killed at the end of the test if it still runs. What it prints comes out of
// the channel.
func launch(t *testing.T, args ...string) (*server, <-chan string) {
	t.Helper()
	return launchCommand(t, exec.Command(binary(), args...))
}

func launchCommand(t *testing.T, command *exec.Cmd) (*server, <-chan string) {
	t.Helper()
	s := &server{t: t, command: command, exited: make(chan struct{}), log: new(safeBuffer)}
	s.command.Stderr = s.log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		defer close(s.exited)
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		close(lines)
		_ = s.command.Wait()
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Signal(syscall.SIGCONT)
		if t.Failed() {
			t.Logf("log of %s:\n%s", strings.Join(command.Args, " "), tail(s.log.String(), 20_000))
			t.Logf("what it was at:\n%s", s.goroutines())
		}
		s.kill()
	})
	return s, lines
}

// readLines waits for the line that says where the process serves; roles that
// print none are started with their own wait.
func (s *server) readLines(lines <-chan string) {
	s.t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			s.t.Fatalf("the process ended before it was ready:\n%s", tail(s.log.String(), 4000))
		}
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			switch name {
			case "api":
				s.api = value
			case "notifier":
				s.notifier = value
			case "kafka":
				s.kafka = value
			}
		}
	case <-time.After(deadline):
		s.t.Fatalf("not ready after %v:\n%s", deadline, tail(s.log.String(), 4000))
	}
	go func() {
		for range lines {
		}
	}()
}

func (s *server) waitReady() {
	s.t.Helper()
	if s.api == "" || s.notifier == "" || s.kafka == "" {
		s.t.Fatalf("the ready line named api=%q notifier=%q kafka=%q", s.api, s.notifier, s.kafka)
	}
}

// id is the name of the processor in its events: the file in its data directory
// that every role keeps it in.
func (s *server) id() string {
	s.t.Helper()
	for n, arg := range s.command.Args {
		if arg == "--data-dir" {
			id, err := os.ReadFile(filepath.Join(s.command.Args[n+1], "instance-id"))
			if err != nil {
				s.t.Fatal(err)
			}
			return strings.TrimSpace(string(id))
		}
	}
	s.t.Fatal("the process was started without --data-dir")
	return ""
}

// kill ends the process as a power cut would, and waits for it.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	<-s.exited
}

// terminate asks the process to drain and checks that it ends with 0.
func (s *server) terminate() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(deadline):
		s.t.Fatalf("still running %v after SIGTERM", deadline)
	}
	if code := s.command.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("ended with %d after SIGTERM:\n%s", code, tail(s.log.String(), 4000))
	}
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal %v: %v", sig, err)
	}
}

// freeze stops the process. When it returns, nothing of it runs any more: what comes
// now meets a process that answers nobody.
func (s *server) freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	if err := program.AwaitStopped(s.t.Context(), s.command.Process.Pid); err != nil {
		s.t.Fatal(err)
	}
}

// goroutines ends the process and gives what its goroutines were at, those of the product and of its groups.
func (s *server) goroutines() string {
	before := s.log.written()
	_ = s.command.Process.Signal(syscall.SIGQUIT) // it has ended if that fails
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		return "it does not answer SIGQUIT"
	}
	text := s.log.String()
	text = text[max(0, len(text)-(s.log.written()-before)):]
	var kept []string
	for stack := range strings.SplitSeq(text, "\n\n") {
		if strings.Contains(stack, "aiecs/tasklane") || strings.Contains(stack, "kgo.(*groupConsumer)") {
			kept = append(kept, stack)
		}
	}
	all := strings.Join(kept, "\n\n")
	return all[:min(len(all), 200_000)]
}

// waitExit waits for a process that ends by itself.
func (s *server) waitExit(ctx context.Context) error {
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the process to end: %w", ctx.Err())
	}
}

func tail(s string, most int) string {
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
