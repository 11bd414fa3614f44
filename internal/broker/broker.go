package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/broker/damage"
	"github.com/aiecs/tasklane/internal/broker/guard"
	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/internal/dirlock"
	"github.com/aiecs/tasklane/internal/listen"
)

// Broker is one embedded broker. Make it with New and start it with Run.
type Broker struct {
	cfg     Config                                      // immutable
	every   time.Duration                               // between two rounds of upkeep; immutable
	ready   chan struct{}                               // closed once, by Run
	isReady func()                                      // closes it
	addr    string                                      // written before ready is closed, read after
	open    func(context.Context) (net.Listener, error) // the port
}

// New checks the configuration. It opens nothing and starts nothing.
func New(cfg Config) (*Broker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, every: upkeepEvery, ready: make(chan struct{})}
	b.open = b.listen
	b.isReady = sync.OnceFunc(func() { close(b.ready) })
	return b, nil
}

// Ready is closed when the broker answers requests. It never closes if Run fails first.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addr is the host:port the broker listens on. It is valid after Ready.
func (b *Broker) Addr() string { return b.addr }

// Run serves until ctx ends, then writes its state to disk, closes every connection and returns nil. It may be
// called once. It owns all goroutines of the broker; none is left when it returns.
//
// It fails when the data directory is in use ([dirlock.ErrInUse]) or cannot be read,
// when the port is taken, and when a compaction could not be completed.
func (b *Broker) Run(ctx context.Context) error {
	if b.cfg.DataDir == "" {
		return b.serve(ctx, "")
	}
	warning, err := datadir.Make(b.cfg.DataDir)
	if err != nil {
		return err //nolint:wrapcheck // it says what and where
	}
	if warning != "" {
		b.cfg.Logger.Warn(warning)
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
	for repaired := (time.Time{}); ; {
		if err := damage.Inspect(dir, b.cfg.Logger, time.Now()); err != nil {
			return fmt.Errorf("inspect the data directory: %w", err)
		}
		err := b.serve(ctx, dir)
		if !errors.Is(err, guard.ErrDamaged) || ctx.Err() != nil {
			return err
		}
		if time.Since(repaired) < minRepairInterval {
			return fmt.Errorf("%w again, right after a repair; does the disk fail? Move %s to another one", err, b.cfg.DataDir)
		}
		repaired = time.Now()
	}
}

// minRepairInterval is how long a repair has to hold. Without that, damage that
// comes back would make the broker do nothing else.
const minRepairInterval = 10 * time.Second

// engineDir is the directory inside the data directory that the engine owns.
func engineDir(dataDir string) string { return filepath.Join(dataDir, "log") }

// serve opens the port and the log and serves until ctx ends.
func (b *Broker) serve(ctx context.Context, dir string) error {
	socket, err := b.open(ctx)
	if err != nil {
		return err
	}
	inner := listen.New(socket, listen.Config{Name: "the embedded broker", Logger: b.cfg.Logger})
	g := guard.New(inner, guard.Config{
		Dir: dir, Coupled: b.cfg.Coupled, MaxConnections: b.cfg.MaxConnections, Logger: b.cfg.Logger,
	})
	defer g.Wait()
	options := append(g.EngineOptions(), kfake.NumBrokers(1), kfake.ClusterID(logdir.ClusterID),
		kfake.WithLogger(logger{to: b.cfg.Logger}))
	if dir != "" {
		options = append(options, kfake.DataDir(dir))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		g.Close()
		return fmt.Errorf("open data directory %s: %w", dir, err)
	}
	defer b.noteStop(dir)
	defer cluster.Close()
	if dir != "" {
		if err := damage.ForgetStart(dir); err != nil {
			return err //nolint:wrapcheck // it says what and where
		}
	}
	b.addr = inner.Addr().String()
	b.isReady()
	b.cfg.Logger.Info("embedded broker is ready", "addr", b.addr, "data_dir", b.cfg.DataDir)
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	keeping.Go(func() { g.Attend(ctx, cluster, b.addr) })
	u := upkeep{cluster: cluster, dir: dir, every: b.every, log: b.cfg.Logger, compacted: -1}
	if dir != "" {
		u.checkpoints = &checkpoints{cluster: cluster, topics: g.Topics, notes: damage.NewNotes(dir), log: b.cfg.Logger}
		keeping.Go(func() { u.checkpoints.run(ctx) })
	}
	var damaged error
	keeping.Go(func() {
		defer cancel()
		select {
		case <-inner.Failed(): // nobody can reach the broker any more
		case damaged = <-g.Damaged():
		case <-ctx.Done():
		}
	})
	err = u.run(ctx)
	cancel()
	keeping.Wait()
	return errors.Join(inner.Err(), damaged, err)
}

// noteStop notes what the engine has written when it stopped.
func (b *Broker) noteStop(dir string) {
	if dir == "" {
		return
	}
	err := errors.Join(damage.NoteStop(dir), damage.Tighten(dir))
	if err != nil {
		b.cfg.Logger.Warn("could not note the stop of the embedded broker", "error", err)
	}
}

// listen opens the port.
func (b *Broker) listen(ctx context.Context) (net.Listener, error) {
	addr := b.cfg.Addr
	if b.addr != "" { // it has had a port before
		addr = b.addr
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is taken; choose another with "+
			"--broker-addr (port 0 picks a free one), "+
			"or use the broker that is there with --brokers %s: %w", b.cfg.Addr, b.cfg.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --broker-addr", b.cfg.Addr, err)
	}
	return ln, nil
}
