package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// maxOutageLog is how much of a log an outage may fill, in bytes: dozens of lines and
// not a line a try.
const maxOutageLog = 256 << 10

// ourTopics are those that a running installation rests on.
func (i *installation) ourTopics() []string {
	return []string{
		i.prefix + "tasks.fast", i.prefix + "tasks.heavy", i.prefix + "task-events", i.prefix + "tasks.scheduled",
		i.prefix + "task-control", i.prefix + "task-webhooks", i.prefix + "tasks.dlq",
	}
}

func (i *installation) admin(t *testing.T) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(i.seeds()...), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// readyz is what a server says of itself; the status is 0 if it says nothing.
func readyz(t *testing.T, address string) (status int, text string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http" + strings.TrimPrefix(strings.TrimPrefix(address, "ws"), "http") + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// awaitReadyz waits until a server says so of itself, with such words, and returns
// how long that took.
func awaitReadyz(t *testing.T, address string, status int, words string) time.Duration {
	t.Helper()
	began := time.Now()
	waitFor(t, fmt.Sprintf("%s/readyz to answer %d with %q", address, status, words), func() bool {
		got, text := readyz(t, address)
		return got == status && strings.Contains(text, words)
	})
	took := time.Since(began)
	t.Logf("%s/readyz answered %d with %q after %v", address, status, words, took.Round(time.Millisecond))
	return took
}

// works submits a task until it is accepted and sees it end on a WebSocket.
func works(t *testing.T, a *api, notifier, lane, user, id string) {
	t.Helper()
	var cursor string
	waitFor(t, "the API to accept "+id, func() bool {
		status, answer, err := a.call(t.Context(), "POST", "/v1/tasks", newTask(lane, user, id, "echo", nil))
		if err != nil || status != 202 {
			return false
		}
		cursor = answer["cursor"].(string)
		return true
	})
	// A notifier may still begin anew: clients come back then.
	ended := false
	waitFor(t, "the end of "+id+" on a WebSocket", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		conn, response, err := websocket.DefaultDialer.DialContext(ctx, notifier+"/ws?user_id="+user+"&since="+cursor, nil)
		if err != nil {
			if response != nil {
				response.Body.Close()
			}
			return false
		}
		defer conn.Close()
		for !ended {
			var event map[string]any
			if conn.SetReadDeadline(time.Now().Add(5*time.Second)) != nil || conn.ReadJSON(&event) != nil {
				return false
			}
			ended = event["task_id"] == id && event["kind"] == "state" && event["status"] == "completed"
		}
		return true
	})
	waitFor(t, "the API to know the end of "+id, func() bool {
		status, answer, err := a.call(t.Context(), "GET", "/v1/tasks/"+id+"?user_id="+user, nil)
		return err == nil && status == 200 && answer["status"] == "completed"
	})
}

// TestTopicsMadeAnew deletes each topic under a running installation and makes it
// again, or leaves that to the installation: it works again, and says nothing in
// megabytes.
func TestTopicsMadeAnew(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t, "--partitions", "2", "--slots-fast", "4", "--slots-heavy", "4")
	a, admin := newAPI(t, s.api), i.admin(t)
	works(t, a, s.notifier, "fast", "ada", "before")
	for n, topic := range i.ourTopics() {
		before := s.log.written()
		if _, err := admin.DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			waitFor(t, topic+" to be created again by hand", func() bool {
				partitions := int32(2)
				if strings.HasSuffix(topic, "task-control") {
					partitions = 1
				}
				answer, err := admin.CreateTopic(t.Context(), partitions, 1, nil, topic)
				return err == nil && answer.Err == nil
			})
		} else {
			switch webhooks := strings.HasSuffix(topic, "task-webhooks"); {
			case !webhooks:
				awaitReadyz(t, s.api, 503, topic)
			case i.brokers == "": // on a Kafka of one's own webhooks need a secret, and are off here
				awaitReadyz(t, s.notifier, 503, topic)
			}
		}
		waitFor(t, topic+" to be there", func() bool {
			found, err := admin.ListTopics(t.Context(), topic)
			return err == nil && found.Error() == nil
		})
		pause(t.Context(), 3*time.Second) // whatever is to be noticed is
		for _, lane := range []string{"fast", "heavy"} {
			works(t, a, s.notifier, lane, "ada", fmt.Sprintf("after-%d-%s", n, lane))
		}
		awaitReadyz(t, s.api, 200, "")
		awaitReadyz(t, s.notifier, 200, "")
		if wrote := s.log.written() - before; wrote > maxOutageLog {
			t.Errorf("%d bytes of log for %s", wrote, topic)
		}
	}
	s.terminate()
}

// roles are separate processes on one embedded broker.
type roles struct {
	i                               *installation
	broker, front, worker, notifier *server
	metrics                         string
}

func startRoles(t *testing.T) *roles {
	t.Helper()
	i := newInstallation(t)
	i.brokers, i.prefix = "", "" // the broker is killed, which only the embedded one is ours for
	r := &roles{i: i, metrics: freePorts(t, 1)[0]}
	r.startBroker(t)
	run := func(role string, more ...string) *server {
		return start(t, append(append([]string{role, "--data-dir", t.TempDir(), "--log-format", "json"}, more...),
			i.kafkaFlags()...)...)
	}
	r.front = run("producer", "--api-addr", i.api)
	r.worker = run("processor", "--metrics-addr", r.metrics, "--debug-services=true")
	r.notifier = run("notifier", "--notifier-addr", i.notifier)
	return r
}

func (r *roles) startBroker(t *testing.T) {
	t.Helper()
	r.broker = start(t, "broker", "--broker-addr", r.i.brokerAddr, "--data-dir", r.i.dir, "--log-format", "json")
}

// ready are the addresses that answer /readyz.
func (r *roles) ready() []string {
	return []string{"http://" + r.i.api, "http://" + r.metrics, "http://" + r.i.notifier}
}

// logs are the bytes that the roles have logged.
func (r *roles) logs() (bytes int) {
	for _, s := range []*server{r.front, r.worker, r.notifier} {
		bytes += s.log.written()
	}
	return bytes
}

func (r *roles) terminate() {
	for _, s := range []*server{r.front, r.worker, r.notifier, r.broker} {
		s.terminate()
	}
}

// TestBrokerComesBackEmpty: under running roles everything is gone, and they begin
// anew.
func TestBrokerComesBackEmpty(t *testing.T) {
	t.Parallel()
	r := startRoles(t)
	a := newAPI(t, "http://"+r.i.api)
	for n := range 3 {
		works(t, a, "ws://"+r.i.notifier, "fast", "ada", fmt.Sprint("before-", n))
	}
	before := r.logs()
	r.broker.kill()
	for _, address := range r.ready() {
		if took := awaitReadyz(t, address, 503, ""); took > 10*time.Second {
			t.Errorf("%s/readyz took %v to notice that the broker is gone", address, took)
		}
	}
	if err := os.RemoveAll(filepath.Join(r.i.dir, "broker")); err != nil {
		t.Fatal(err)
	}
	r.startBroker(t)
	for _, address := range r.ready() {
		awaitReadyz(t, address, 200, "")
	}
	for n := range 3 {
		// The ids of before are free again: what they were is gone.
		works(t, a, "ws://"+r.i.notifier, []string{"fast", "heavy"}[n%2], "ada", fmt.Sprint("before-", n))
	}
	if wrote := r.logs() - before; wrote > maxOutageLog {
		t.Errorf("%d bytes of log", wrote)
	}
	r.terminate()
}

// TestSilentBroker: a broker that takes connections and answers nothing is told of by
// every role within seconds, in few lines, and forgotten when it answers.
func TestSilentBroker(t *testing.T) {
	t.Parallel()
	r := startRoles(t)
	for _, address := range r.ready() {
		awaitReadyz(t, address, 200, "")
	}
	before := r.logs()
	r.broker.freeze()
	for _, address := range r.ready() {
		if took := awaitReadyz(t, address, 503, "answers"); took > 10*time.Second {
			t.Errorf("%s/readyz took %v to notice the silence", address, took)
		}
	}
	pause(t.Context(), 10*time.Second)
	if wrote := r.logs() - before; wrote > maxOutageLog {
		t.Errorf("%d bytes of log in some ten seconds of silence", wrote)
	}
	r.broker.signal(syscall.SIGCONT)
	for _, address := range r.ready() {
		awaitReadyz(t, address, 200, "")
	}
	works(t, newAPI(t, "http://"+r.i.api), "ws://"+r.i.notifier, "fast", "ada", "after")
	r.terminate()
}

// TestPartitionsAreAdded: the roles say which topics are behind while they are not
// equal, and then serve all partitions without a restart.
func TestPartitionsAreAdded(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t, "--partitions", "2")
	a, admin := newAPI(t, s.api), i.admin(t)
	works(t, a, s.notifier, "fast", "ada", "before")
	grow := func(topics ...string) {
		t.Helper()
		answers, err := admin.UpdatePartitions(t.Context(), 5, topics...)
		if err == nil {
			err = answers.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lanes := []string{i.prefix + "tasks.fast", i.prefix + "tasks.heavy"}
	others := []string{i.prefix + "task-events", i.prefix + "tasks.scheduled", i.prefix + "task-webhooks"}
	if i.brokers == "" {
		grow(append(lanes, others...)...) // the embedded broker keeps them equal itself
		pause(t.Context(), 3*time.Second)
	} else {
		grow(lanes...)
		awaitReadyz(t, s.api, 503, i.prefix+"task-events has 2")
		grow(others...)
	}
	awaitReadyz(t, s.api, 200, "")
	awaitReadyz(t, s.notifier, 200, "")
	for n := range 20 {
		works(t, a, s.notifier, []string{"fast", "heavy"}[n%2], fmt.Sprint("user-", n), fmt.Sprint("task-", n))
	}
	s.terminate()
}
