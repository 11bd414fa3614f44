package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/dirlock"
)

// minSessionTimeout is the shortest group session a consumer may ask for.
// Shorter ones are of use in tests of take-over only.
const minSessionTimeout = time.Second

// Broker is one embedded broker. Make it with New and start it with Run.
type Broker struct {
	cfg   Config        // immutable
	every time.Duration // between two rounds of upkeep; immutable
	ready chan struct{} // closed once, by Run
	addr  string        // written before ready is closed, read after
}

// New checks the configuration. It opens nothing and starts nothing.
func New(cfg Config) (*Broker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Broker{cfg: cfg, every: upkeepEvery, ready: make(chan struct{})}, nil
}

// Ready is closed when the broker answers requests. It never closes if Run
// fails first.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addr is the host:port the broker listens on. It is valid after Ready.
func (b *Broker) Addr() string { return b.addr }

// Run serves until ctx ends, then writes its state to disk, closes every
// connection and returns nil. It may be called once. It owns all goroutines of
// the broker; none is left when it returns.
//
// It fails when the data directory is in use ([dirlock.ErrInUse]) or cannot be read,
// when the port is taken, and when a compaction could not be completed.
func (b *Broker) Run(ctx context.Context) error {
	if b.cfg.DataDir == "" {
		return b.serve(ctx, "")
	}
	if err := os.MkdirAll(b.cfg.DataDir, 0o755); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	lock, err := dirlock.Take(ctx, b.cfg.DataDir, "broker")
	if err != nil {
		return err //nolint:wrapcheck // it says what and where
	}
	defer lock.Release()
	dir := engineDir(b.cfg.DataDir)
	if err := (backup{dir: dir}).restore(); err != nil {
		return fmt.Errorf("restore interrupted compaction in %s: %w", dir, err)
	}
	if err := raiseFloors(dir, time.Now()); err != nil {
		return fmt.Errorf("prepare data directory %s: %w", dir, err)
	}
	return b.serve(ctx, dir)
}

// engineDir is the directory inside the data directory that the engine owns.
func engineDir(dataDir string) string { return filepath.Join(dataDir, "log") }

// serve opens the port and the log and serves until ctx ends.
func (b *Broker) serve(ctx context.Context, dir string) error {
	inner, err := b.listen(ctx)
	if err != nil {
		return err
	}
	guard := newGuard(inner, b.cfg.Logger)
	defer guard.Wait()
	cluster, err := kfake.NewCluster(b.options(guard, dir)...)
	if err != nil {
		guard.Close()
		return fmt.Errorf("open data directory %s: %w", dir, err)
	}
	defer cluster.Close()
	b.addr = inner.Addr().String()
	close(b.ready)
	b.cfg.Logger.Info("embedded broker is ready", "addr", b.addr, "data_dir", b.cfg.DataDir)
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	k := keeper{cluster: cluster, conns: &guard.conns, addr: b.addr, log: b.cfg.Logger}
	keeping.Go(func() { k.run(ctx) })
	u := upkeep{cluster: cluster, dir: dir, every: b.every, log: b.cfg.Logger, compacted: -1}
	return u.run(ctx)
}

// listen opens the port.
func (b *Broker) listen(ctx context.Context) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is taken; choose another with --broker-addr (port 0 picks a free one), "+
			"or use the broker that is there with --brokers %s: %w", b.cfg.Addr, b.cfg.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --broker-addr", b.cfg.Addr, err)
	}
	return ln, nil
}

// options configures the engine: one node, behind the guard.
func (b *Broker) options(guard net.Listener, dir string) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("tasklane-embedded"),
		kfake.ListenFn(func(_, _ string) (net.Listener, error) { return guard, nil }),
		kfake.WithLogger(logger{to: b.cfg.Logger}),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.BrokerConfigs(map[string]string{
			"log.cleaner.backoff.ms":       engineUpkeepNever,
			"group.min.session.timeout.ms": strconv.FormatInt(minSessionTimeout.Milliseconds(), 10),
		}),
	}
	if dir != "" {
		opts = append(opts, kfake.DataDir(dir))
	}
	return opts
}
