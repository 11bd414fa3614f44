//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// startLimited runs the binary with a limit of open files.
func startLimited(t *testing.T, limit string, args ...string) *server {
	t.Helper()
	command := exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, limit, binary()}, args...)...)
	s, lines := launchCommand(t, command)
	s.readLines(lines)
	s.waitReady()
	return s
}

// hold opens idle connections until there are so many, or no more are taken.
func hold(t *testing.T, address string, most int) (release func()) {
	t.Helper()
	var held []net.Conn
	for range most {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			break
		}
		held = append(held, conn)
	}
	release = func() {
		for _, conn := range held {
			_ = conn.Close()
		}
		held = nil
	}
	t.Cleanup(release)
	return release
}

// TestOutOfDescriptors: clients that hold connections to every port, more than the
// process may have open, keep nobody out for good, and the health check is
// answered and right all the time.
func TestOutOfDescriptors(t *testing.T) {
	const limit = "700"
	i := newInstallation(t)
	s := startLimited(t, limit, i.upArgs("--partitions", "2")...)
	if log := s.log.String(); !strings.Contains(log, "limit of open files") {
		t.Errorf("no warning of the limit %s at the start:\n%s", limit, tail(log, 1000))
	}
	ask := func(what string) {
		t.Helper()
		a := newAPI(t, s.api)
		a.must(202, "POST", "/v1/tasks", newTask("fast", "alice", what, "echo", nil))
		if got := a.must(200, "GET", "/v1/tasks/"+what+"/result?wait=30s&user_id=alice", nil); got["status"] != "completed" {
			t.Errorf("%s: %v", what, got)
		}
	}
	ask("before")
	api, notifier := strings.TrimPrefix(s.api, "http://"), strings.TrimPrefix(s.notifier, "ws://")
	releases := []func(){hold(t, api, 1000), hold(t, notifier, 1000)}
	if i.brokers == "" {
		releases = append(releases, hold(t, s.kafka, 1000))
	}
	status, said := health(t, s.api)
	t.Logf("with every port full: %d %s", status, said)
	if status == http.StatusOK {
		ask("meanwhile") // it says that it works, so it does
	}
	for _, release := range releases {
		release()
	}
	until(t, "ready again", func() bool { status, said = health(t, s.api); return status == http.StatusOK })
	ask("after")
	newcomer, err := kgo.NewClient(kgo.SeedBrokers(i.seeds()...))
	if err != nil {
		t.Fatal(err)
	}
	defer newcomer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := newcomer.Ping(ctx); err != nil {
		t.Errorf("a new client of the broker: %v", err)
	}
	if event, _ := watch(t, s.notifier, "alice", "earliest").end("after"); event["status"] != "completed" {
		t.Errorf("on the notifier: %v", event)
	}
	if lines := strings.Count(s.log.String(), "cannot be accepted"); lines > 20 {
		t.Errorf("%d lines in the log about what is the same", lines)
	}
	s.terminate()
}

// health asks /readyz on a connection of its own; it has to be answered, and soon.
func health(t *testing.T, base string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Errorf("/readyz is not answered: %v", err)
		return 0, err.Error()
	}
	defer response.Body.Close()
	var answer struct{ Status, Detail string }
	_ = json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer.Status + answer.Detail
}

// until waits for something to come true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	timer, ticker := time.NewTimer(deadline), time.NewTicker(50*time.Millisecond)
	defer timer.Stop()
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-timer.C:
			t.Fatalf("not %s after %v", what, deadline)
		}
	}
}
