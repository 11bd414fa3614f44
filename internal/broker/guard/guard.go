package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// ErrDamaged says that the log was damaged while the broker ran.
var ErrDamaged = errors.New("the log is damaged")

// Config says what is guarded.
type Config struct {
	// Dir is the engine's directory, "" in memory.
	Dir string
	// Coupled are topics that must have the same number of partitions.
	Coupled []string
	// MaxConnections is how many connections may be open, DefaultMaxConnections if it is 0.
	MaxConnections int
	// Logger hears of what is refused.
	Logger *slog.Logger
}

// Guard is the listener between the network and the engine. Every connection it hands out reads whole request
// frames, checks them, and passes on only those the engine can take. The engine cannot be asked to do this itself:
// it decodes what it reads without a recover, so one malformed request from anybody who can open a connection ends
// the whole process.
type Guard struct {
	net.Listener
	log       *slog.Logger
	dir       string     // the engine's, "" in memory
	coupled   []string   // topics that must have the same number of partitions
	buffers   sync.Pool  // of *[]byte: large frames, lent to connections
	open      *openCount // of connections not yet closed
	slots     slots      // of connections that cost something
	damaged   chan error // the first damage that is met
	conns     conns
	lingering lingering
	frames    *budget // requests on their way in
	replies   *budget // answers on their way out
	unpacker  *unpacker
	producers *producers
	usage     *usage
}

// New guards a listener.
func New(inner net.Listener, c Config) *Guard {
	return &Guard{
		Listener: inner, log: c.Logger, dir: c.Dir, coupled: c.Coupled, slots: slots{limit: c.MaxConnections},
		open: newOpenCount(), damaged: make(chan error, 1),
		frames: newBudget(maxFrameBytes), replies: newBudget(maxAnswerBytes),
		unpacker: newUnpacker(), producers: newProducers(c.Logger), usage: newUsage(),
	}
}

// MinSessionTimeout is the shortest group session a consumer may ask for. Shorter ones
// are of use in tests of take-over only.
const MinSessionTimeout = time.Second

const (
	maxGroupSize     = 1000
	maxFetchSessions = 250
	// stateLogBytes is how long the engine's log of offsets gets before it is
	// rewritten, which must be far above what has to stay in it: see usage.
	stateLogBytes = 64 << 20
)

// upkeepNever keeps the engine from applying retention and compacting by itself, in milliseconds (30 years). Its own
// timer starts with the creation of a topic only, so not after a restart, and what it does is not safe against a
// kill: the broker has an upkeep of its own.
const upkeepNever = "1000000000000"

// EngineOptions are those that put the guard before an engine and bound what that keeps.
func (g *Guard) EngineOptions() []kfake.Opt {
	return []kfake.Opt{
		kfake.ListenFn(func(_, _ string) (net.Listener, error) { return g, nil }),
		kfake.GroupMinSessionTimeout(MinSessionTimeout),
		kfake.BrokerConfigs(map[string]string{
			"log.cleaner.backoff.ms":       upkeepNever,
			"group.min.session.timeout.ms": strconv.FormatInt(MinSessionTimeout.Milliseconds(), 10),
			"group.max.size":               strconv.Itoa(maxGroupSize),
			"state.log.compact.bytes":      strconv.Itoa(stateLogBytes),

			"max.incremental.fetch.session.cache.slots": strconv.Itoa(maxFetchSessions),
		}),
	}
}

// Accept returns the next connection, guarded. The engine gives up its listener with the first error; the one
// underneath has none that passes, such as too many open files.
func (g *Guard) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // the engine compares it
		}
		if g.slots.take() || g.makeRoom() && g.slots.take() {
			return g.wrap(conn), nil
		}
		_ = conn.Close() // one too many
		g.log.Warn("refused a connection: there are too many", "limit", g.slots.most(), "remote", conn.RemoteAddr().String())
	}
}

// makeRoom closes the connection that has been idle for longest, if one has been for a while.
func (g *Guard) makeRoom() bool {
	idlest := g.conns.idlest()
	if idlest == nil || time.Since(idlest.lastMoved()) < idleBeforeRefusal {
		return false
	}
	idlest.evict("there are too many connections")
	_ = idlest.Close() // the engine's reader learns it, too
	return true
}

// idleBeforeRefusal is how long a connection may be idle before it makes room for
// a new one. Consumers and members move every few seconds.
const idleBeforeRefusal = 10 * time.Second

// wrap guards one connection, for which a slot has been taken.
func (g *Guard) wrap(inner net.Conn) *conn {
	g.open.add(1)
	c := &conn{Conn: inner, guard: g, closed: make(chan struct{})}
	c.move()
	c.done = sync.OnceFunc(func() {
		g.conns.remove(c)
		close(c.closed)
		c.leave()
		g.open.add(-1)
	})
	g.conns.add(c)
	return c
}

// Damaged gives the first damage that is met in what the engine reads from the log.
func (g *Guard) Damaged() <-chan error { return g.damaged }

// Topics are the names of all topics.
func (g *Guard) Topics() []string { return g.usage.names() }

// Wait blocks until every connection handed out has been closed.
func (g *Guard) Wait() { g.open.wait() }

// isGone reports whether a partition that cannot be read has lost its files. Too
// many open files are another reason, which passes.
func (g *Guard) isGone(topic string, number int32) bool {
	if g.dir == "" {
		return false
	}
	bases, err := logdir.SegmentBases(logdir.Partition{Topic: topic, Number: number}.Path(g.dir))
	return err == nil && len(bases) == 0
}

// isDamaged says that what the engine reads from the log is not what was written.
func (g *Guard) isDamaged(topic string, partition int32) {
	err := fmt.Errorf("%w: partition %d of topic %s", ErrDamaged, partition, topic)
	select {
	case g.damaged <- err:
		g.log.Error("the log is damaged; the broker repairs it and reads it anew", "topic", topic, "partition", partition)
	default: // that is known
	}
}
