package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestEmbeddedBrokerKilled kills the broker under load while the roles live on:
// nothing acknowledged is lost, and what its forgotten idempotence writes twice
// counts once. On Apache Kafka the broker is not ours to kill.
func TestEmbeddedBrokerKilled(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.brokers, i.prefix = "", "" // the embedded one, wherever the other tests run
	startBroker := func() *server {
		return start(t, "broker", "--broker-addr", i.brokerAddr, "--data-dir", i.dir)
	}
	broker := startBroker()
	front := start(t, append([]string{"producer", "--api-addr", i.api, "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	worker := start(t, append([]string{"processor", "--lanes", "fast,heavy", "--metrics-addr", "127.0.0.1:0",
		"--debug-services=true", "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	l := &load{api: newAPI(t, "http://"+i.api)}
	stop := l.background(t, 8)
	for n := range 5 {
		before := l.count()
		waitFor(t, fmt.Sprintf("load to get through before kill %d of the broker", n),
			func() bool { return l.count() > before+100 })
		broker.kill()
		broker = startBroker()
	}
	before := l.count()
	waitFor(t, "load after the last kill", func() bool { return l.count() > before+100 })
	stop()
	l.allEnd(read(t, i))
	worker.terminate()
	front.terminate()
	broker.terminate()
}

// TestEmbeddedBrokerFrozen: while the broker answers nobody, submissions are
// refused or left open in bounded time, and when it wakes everything accepted
// ends once.
func TestEmbeddedBrokerFrozen(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.brokers, i.prefix = "", ""
	broker := start(t, "broker", "--broker-addr", i.brokerAddr, "--data-dir", i.dir)
	front := start(t, append([]string{"producer", "--api-addr", i.api, "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	worker := start(t, append([]string{"processor", "--lanes", "fast,heavy", "--metrics-addr", "127.0.0.1:0",
		"--debug-services=true", "--data-dir", t.TempDir()}, i.kafkaFlags()...)...)
	l := &load{api: newAPI(t, "http://"+i.api)}
	stop := l.background(t, 8)
	waitFor(t, "the first tasks", func() bool { return l.count() > 100 })
	broker.freeze()
	thawed := time.AfterFunc(durationFromEnv(t, "TASKLANE_E2E_FREEZE", 14*time.Second), func() {
		_ = broker.command.Process.Signal(syscall.SIGCONT)
	})
	defer thawed.Stop()
	status, answer, err := l.api.call(t.Context(), "POST", "/v1/tasks", newTask("fast", "frozen", "frozen", "echo", nil))
	if err != nil || status != 503 && status != 504 {
		t.Errorf("a submission to a frozen broker: %d %v, %v", status, answer, err)
	}
	before := l.count()
	waitFor(t, "load after the thaw", func() bool { return l.count() > before+100 })
	stop()
	l.allEnd(read(t, i))
	worker.terminate()
	front.terminate()
	broker.terminate()
}
