package kafkatest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/aiecs/tasklane/internal/broker"
)

// Killable is an embedded broker that can be ended and started again on its data, at the same address.
type Killable struct {
	t    testing.TB
	dir  string
	addr string
	stop func()
}

// StartKillable starts one. It is stopped at cleanup, after the clients made later in the same test.
func StartKillable(t testing.TB) *Killable {
	t.Helper()
	k := &Killable{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	k.Restart()
	return k
}

// Addr is its host:port.
func (k *Killable) Addr() string { return k.addr }

// Dir is its data directory, to damage while it is not running.
func (k *Killable) Dir() string { return k.dir }

// Kill ends it. As after a kill -9 it has its topics and commits when it is started
// again, and knows no members of groups any more.
func (k *Killable) Kill() {
	k.t.Helper()
	k.stop()
	err := os.Remove(filepath.Join(k.dir, "log", "session_state.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.t.Fatal(err)
	}
}

// Restart starts it again.
func (k *Killable) Restart() {
	k.t.Helper()
	b, err := broker.New(broker.Config{Addr: k.addr, DataDir: k.dir})
	if err != nil {
		k.t.Fatalf("configure broker: %v", err)
	}
	k.stop = Run(k.t, b)
	k.addr = b.Addr()
}
