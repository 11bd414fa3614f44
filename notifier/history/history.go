package history

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
)

// Config is what a history needs. All of it has to be set; RingBytes below 1 keeps no events in memory.
type Config struct {
	Kafka kafka.Config
	// Topic is where the events are.
	Topic  string
	Logger *slog.Logger
	// Metrics is where the history's are registered.
	Metrics *metrics.Set
	// RingBytes is how much of the newest events is kept in memory, and RingAge how old they may get.
	RingBytes int
	RingAge   time.Duration
	// Scans is how many of the log there are at a time, and ScanTimeout how long one waits for the broker.
	Scans       int
	ScanTimeout time.Duration
	// CatchUpTimeout is how long a client waits for an instance that has not read as far as its cursor.
	CatchUpTimeout time.Duration
	// AnchorLead is how long ago the moment is to which short cursors refer, at least.
	AnchorLead time.Duration
	// RefreshInterval is the time between two looks at the topic's partitions.
	RefreshInterval time.Duration
}

// Audience is who hears of events as they come. Its methods are called by one goroutine, which must not be kept
// waiting.
type Audience interface {
	// Deliver offers an event to those who watch its user. It is false if nobody does.
	Deliver(e *Live) (watched bool)
	// Flush says that no more events are at hand: what was offered is to be sent.
	Flush()
	// Renew offers those a newer cursor who have heard of nothing since a count of records.
	Renew(since uint64, now Now)
	// LogReplaced says that the log is another one: what rests on the one before has to end.
	LogReplaced()
}

// Live is an event as it comes. It is valid only during the call.
type Live struct {
	// Seq is the reader's count of records at this one.
	Seq    uint64
	rec    *record
	reader *reader
}

// User is whose event it is.
func (l *Live) User() []byte { return l.rec.key }

// Read reads the event; false if the record is none that anybody may see.
func (l *Live) Read(e *Event) bool {
	ok, err := e.Read(l.rec.key, l.rec.value, l.rec.time)
	if err != nil {
		l.reader.metrics.invalid.Inc()
		l.reader.log.Warn("a record that counts is no event", "partition", l.rec.partition, "offset", l.rec.offset, "error",
			err)
	}
	return ok
}

// Cursor is the user's place after the event.
func (l *Live) Cursor() cursor.Cursor { return l.reader.cursors.of(l.rec.key, l.reader.next) }

// Now is the place to which the reader has come.
type Now struct {
	// Seq is its count of records there.
	Seq    uint64
	reader *reader
}

// Cursor is a user's place there.
func (n Now) Cursor(user string) cursor.Cursor {
	return n.reader.cursors.of([]byte(user), n.reader.next)
}

// Subscriber is who is brought from the past to live. It sets aside what the audience is offered for it until GoLive.
type Subscriber interface {
	// HasRoom waits a little for the client to read; false if there is no room for another event even then.
	HasRoom(ctx context.Context, within time.Duration) bool
	// Replay queues an event of the past, with the place after it. HasRoom has been asked.
	Replay(e *Event, at cursor.Cursor)
	// Drained waits until the client has taken what was queued.
	Drained(ctx context.Context) error
	// GoLive queues what was set aside from a count of records on, and everything that comes from here on. It is false
	// if more has come than can be set aside: then it has begun to set aside anew.
	GoLive(seq uint64) bool
}

// History is the log of events. Make one with [New]; [History.Run] does the work, once. Its other methods may be called
// while it runs.
type History struct {
	cfg       Config
	log       *slog.Logger
	source    *source
	topic     eventLog // the source, as those see it who begin somewhere
	positions *positions
	ring      *ring
	cursors   *cursors
	scans     *scans
	reader    *reader
	metrics   *meters
}

// New is a history for an audience. It starts nothing.
func New(cfg Config, audience Audience) *History {
	h := &History{
		cfg: cfg, log: cfg.Logger, source: newSource(cfg.Kafka, cfg.Topic),
		positions: newPositions(), ring: newRing(cfg.RingBytes, cfg.RingAge), cursors: newCursors(),
	}
	kept, aheads := newCheckpoints(), fold.NewAheadAlarm(cfg.Logger)
	h.topic = h.source
	h.scans = &scans{topic: h.topic, ring: h.ring, checkpoints: kept, timeout: cfg.ScanTimeout, most: cfg.Scans}
	h.metrics = newMeters(cfg.Metrics, h.scans.count, aheads.Total)
	h.reader = &reader{
		source: h.source, topic: h.topic, audience: audience, positions: h.positions, ring: h.ring, cursors: h.cursors,
		checkpoints: kept,
		metrics:     h.metrics, aheads: aheads, log: cfg.Logger, refresh: cfg.RefreshInterval, anchorLead: cfg.AnchorLead,
		live: make(chan struct{}),
	}
	return h
}

// Run follows the log until the context ends. It outlasts every failure of the broker, and a topic that is made anew.
func (h *History) Run(ctx context.Context) error {
	if err := h.source.connect(); err != nil {
		return err
	}
	defer h.source.close()
	defer h.scans.close()
	return h.reader.run(ctx)
}

// Ready is closed when the log has been read up to its end for the first time.
func (h *History) Ready() <-chan struct{} { return h.reader.live }

// Why no client can be brought to live.
var (
	ErrStarting = errors.New("the events have not been read up to their end yet")
	ErrReplaced = errors.New("the events' log is another one now and has not been read up to its end yet")
)

// Err is ErrStarting or ErrReplaced while no client can be brought to live, and another error while the log cannot be
// read.
func (h *History) Err() error {
	select {
	case <-h.reader.live:
	default:
		return ErrStarting
	}
	if h.reader.anew.Load() {
		return ErrReplaced
	}
	return h.reader.health.Err()
}
