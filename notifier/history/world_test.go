package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
)

// plan is a world to be played: a log that grows, instances that follow it, and clients that come and go.
type plan struct {
	seed       uint64
	partitions int
	steps      int
	ringBytes  int
	ringAge    time.Duration
	instances  int
	clients    int
	slow       bool // clients stop reading now and then
}

func drawPlan(t *rapid.T) plan {
	return plan{
		seed:       rapid.Uint64().Draw(t, "seed"),
		partitions: rapid.SampledFrom([]int{1, 2, 3, cursor.MaxExact + 4}).Draw(t, "partitions"),
		steps:      rapid.IntRange(1, 400).Draw(t, "steps"),
		ringBytes:  rapid.SampledFrom([]int{0, 3000, 30_000, 1 << 20}).Draw(t, "ring"),
		ringAge:    rapid.SampledFrom([]time.Duration{20 * time.Second, time.Hour}).Draw(t, "age"),
		instances:  rapid.IntRange(1, 3).Draw(t, "instances"),
		clients:    rapid.IntRange(1, 12).Draw(t, "clients"),
		slow:       rapid.Bool().Draw(t, "slow"),
	}
}

// Whatever the log, the ring, the instances and the moments at which clients come and go: each sees, in every
// partition, exactly what somebody sees who reads the log from its first record; what it does not see is gone from the
// log, and it was told so.
func TestEverySubscriberSeesWhatANaiveReaderSees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = p.play(t) })
		if len(wrong) > 0 {
			rt.Fatalf("%+v: %s", p, wrong[0])
		}
	})
}

func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

const worldLog = cursor.LogName(7)

// world is a plan that is played.
type world struct {
	plan
	log       *modelLog
	instances []*instance
	mu        sync.Mutex
	wrong     []string
}

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (p plan) play(t *testing.T) []string {
	w := &world{plan: p, log: newModelLog(p.partitions)}
	r := rand.New(rand.NewPCG(p.seed, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	writer := newModelWriter(r, w.log, 3)
	join := func() {
		i := newInstance(w, r.Uint64())
		running.Go(func() { i.run(ctx) })
		for ready := false; !ready; {
			select {
			case <-i.h.Ready():
				ready = true
			case <-time.After(4 * time.Second):
				writer.marks() // owners do, come what may
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.instances = append(w.instances, i)
	}
	// Some of the log is there before anybody reads it.
	write := func(steps int) {
		marked := time.Now()
		for range steps {
			writer.step()
			if r.IntN(3) == 0 {
				time.Sleep(upTo(r, 2*time.Second)) //nolint:forbidigo // the bubble's clock
			}
			if time.Since(marked) > 3*time.Second {
				writer.marks()
				marked = time.Now()
			}
		}
		writer.marks()
	}
	write(r.IntN(p.steps + 1))
	join()
	var clients []*modelClient
	for c := range p.clients {
		clients = append(clients, newModelClient(w, r.Uint64(), c))
	}
	var playing sync.WaitGroup
	written := make(chan struct{})
	for _, c := range clients {
		playing.Go(func() { c.play(ctx, written) })
	}
	for range p.instances {
		write(p.steps / p.instances)
		if len(w.instances) < p.instances {
			join()
		}
	}
	close(written)
	playing.Wait()
	return w.wrong
}

// instance is a notifier's history with its audience.
type instance struct {
	h   *History
	hub *modelHub
	r   *rand.Rand
}

func newInstance(w *world, seed uint64) *instance {
	i := &instance{hub: &modelHub{subs: make(map[*modelSub]bool)}, r: rand.New(rand.NewPCG(seed, 2))}
	i.h = New(Config{
		Topic: "task-events", Logger: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(),
		RingBytes: w.ringBytes, RingAge: w.ringAge, Scans: 1 + i.r.IntN(2), ScanTimeout: time.Minute,
		CatchUpTimeout: 5 * time.Second,
		AnchorLead:     30 * time.Second, RefreshInterval: 5 * time.Second,
	}, i.hub)
	i.h.topic, i.h.scans.topic, i.h.reader.topic = w.log, w.log, w.log
	i.h.cursors.log.Store(uint32(worldLog))
	return i
}

// run is what [History.Run] does, on the log in memory.
func (i *instance) run(ctx context.Context) {
	defer i.h.scans.close()
	r := i.h.reader
	from, err := r.start(ctx)
	if err != nil {
		return
	}
	tail := &modelTail{log: i.h.topic.(*modelLog), next: make(map[int32]int64), skips: true}
	for p, at := range from {
		tail.next[p] = at
	}
	due := time.Now()
	for ctx.Err() == nil {
		if r.behind == 0 {
			r.once.Do(func() { close(r.live) })
		}
		bounded, cancel := context.WithDeadline(ctx, due.Add(r.refresh))
		_ = tail.poll(bounded, r.step)
		cancel()
		r.audience.Flush()
		if time.Since(due) >= r.refresh {
			r.look(ctx, nil)
			r.renew(time.Now())
			due = time.Now()
		}
		if i.r.IntN(4) == 0 { // it falls behind
			select {
			case <-time.After(upTo(i.r, 2*time.Second)):
			case <-ctx.Done():
			}
		}
	}
}

// modelHub is an audience.
type modelHub struct {
	mu   sync.Mutex
	subs map[*modelSub]bool
}

func (h *modelHub) add(s *modelSub)    { h.mu.Lock(); h.subs[s] = true; h.mu.Unlock() }
func (h *modelHub) remove(s *modelSub) { h.mu.Lock(); delete(h.subs, s); h.mu.Unlock() }

func (h *modelHub) all() (all []*modelSub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		all = append(all, s)
	}
	return all
}

func (h *modelHub) Deliver(live *Live) (watched bool) {
	var e Event
	for _, s := range h.all() {
		if s.want.User != string(live.User()) {
			continue
		}
		if watched = true; live.Read(&e) && s.want.Wants(&e) {
			s.offer(delivery{event: eventOf(&e), cursor: live.Cursor().String(), seq: live.Seq})
		}
	}
	return watched
}

func (h *modelHub) Flush() {}

func (h *modelHub) Renew(since uint64, now Now) {
	for _, s := range h.all() {
		if s.isIdleSince(since) {
			s.offer(delivery{cursor: now.Cursor(s.want.User).String(), seq: now.Seq})
		}
	}
}

func (h *modelHub) LogReplaced() {}

// delivery is an event, or only a newer cursor.
type delivery struct {
	event  string // partition/offset
	cursor string
	seq    uint64
}

func eventOf(e *Event) string {
	_, after, _ := bytes.Cut(e.Body, []byte(`"message":"`))
	event, _, _ := bytes.Cut(after, []byte{'"'})
	return string(event)
}

// modelSub is a subscriber as a session of the notifier is one, without its ways to save work.
type modelSub struct {
	want        Filter
	limit, hold int // deliveries

	mu                      sync.Mutex
	held, queue             []delivery
	holding, overflowed     bool
	slow                    bool // it was given up
	floor                   uint64
	room, woken             chan struct{}
	replayed, wentLiveLater int
}

func newModelSub(want Filter, limit, hold int) *modelSub {
	return &modelSub{want: want, limit: limit, hold: hold, holding: true, room: make(chan struct{}, 1),
		woken: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *modelSub) offer(d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.overflowed, s.slow:
	case s.holding && len(s.held) == s.hold:
		s.held, s.overflowed = nil, true
	case s.holding:
		s.held = append(s.held, d)
	case d.seq <= s.floor:
	case len(s.queue) >= s.limit:
		s.slow = true
		signal(s.woken)
	default:
		s.floor = d.seq
		s.push(d)
	}
}

func (s *modelSub) push(d delivery) {
	s.queue = append(s.queue, d)
	signal(s.woken)
}

func (s *modelSub) isIdleSince(since uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.holding && !s.slow && s.floor < since && len(s.queue) == 0
}

func (s *modelSub) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) < s.limit/2
}

func (s *modelSub) HasRoom(ctx context.Context, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for !s.hasRoom() {
		select {
		case <-s.room:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *modelSub) Replay(e *Event, at cursor.Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replayed++
	s.push(delivery{event: eventOf(e), cursor: at.String()})
}

func (s *modelSub) Drained(ctx context.Context) error {
	for {
		s.mu.Lock()
		left := len(s.queue)
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *modelSub) GoLive(floor uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overflowed {
		s.overflowed = false
		s.wentLiveLater++
		return false
	}
	s.floor, s.holding = floor, false
	for _, d := range s.held {
		if d.seq > floor {
			s.push(d)
		}
	}
	s.held = nil
	return true
}

// next is the next delivery; false if there is none within a time, or the client was given up.
func (s *modelSub) next(within time.Duration) (delivery, bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.queue) > 0 && !s.slow {
			d := s.queue[0]
			s.queue = s.queue[1:]
			signal(s.room)
			s.mu.Unlock()
			return d, true
		}
		slow := s.slow
		s.mu.Unlock()
		if slow {
			return delivery{}, false
		}
		select {
		case <-s.woken:
		case <-timer.C:
			return delivery{}, false
		}
	}
}

// modelClient is somebody who watches a user, whatever happens to its connections.
type modelClient struct {
	*rand.Rand
	w    *world
	name string
	want Filter
	// since is where it begins, and cursor the last one it has read.
	since  Since
	cursor string
	trace  []string
	// seen is how many of the naive reader's events it has had, or has been told it does not get, by partition; nil
	// before it has begun.
	seen []int
}

func newModelClient(w *world, seed uint64, number int) *modelClient {
	c := &modelClient{Rand: rand.New(rand.NewPCG(seed, 3)), w: w, name: fmt.Sprintf("client %d", number)}
	c.want.User = fmt.Sprintf("user-%d", c.IntN(3))
	switch c.IntN(4) {
	case 0:
		c.want.TaskID = fmt.Sprintf("task-%d", c.IntN(3))
	case 1:
		c.want.BatchID = "batch-1"
	}
	switch c.IntN(3) {
	case 0:
		c.since.Earliest = true
	case 1:
		c.since.Time = time.Now().Add(-upTo(c.Rand, 2*time.Minute))
	}
	return c
}

// play connects again and again. When nothing more is written it stays until it has had everything.
func (c *modelClient) play(ctx context.Context, written <-chan struct{}) {
	for tries := 0; ; {
		last := false
		select {
		case <-written:
			last = true
			tries++
		default:
		}
		if c.connect(ctx, last) && last {
			c.complete()
			return
		}
		if tries == 100 {
			c.w.fail("%s comes back again and again and is never left in peace", c.name)
		}
		c.w.mu.Lock()
		failed := len(c.w.wrong) > 0
		c.w.mu.Unlock()
		if failed {
			return
		}
		pause := time.Duration(0)
		if c.IntN(2) == 0 {
			pause = upTo(c.Rand, 20*time.Second)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// complete checks that nothing is left to be had.
func (c *modelClient) complete() {
	all := c.w.log.naive(c.want)
	for p := range all {
		if c.seen[p] != len(all[p]) {
			c.w.fail("%s of %+v has had %d of %d events of partition %d, and no more come", c.name, c.want, c.seen[p],
				len(all[p]), p)
			return
		}
	}
}

// connect is one connection to some instance, and reports whether nothing came any more in the end.
func (c *modelClient) connect(ctx context.Context, last bool) (quiet bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.w.mu.Lock()
	i := c.w.instances[c.IntN(len(c.w.instances))]
	c.w.mu.Unlock()
	since, foreign := c.since, false
	if c.cursor != "" {
		at, err := cursor.Parse(c.cursor)
		if err != nil {
			c.w.fail("%s was given the cursor %q: %v", c.name, c.cursor, err)
			return false
		}
		if foreign = !last && c.IntN(20) == 0; foreign {
			at.Log++ // as if it came from another installation
		}
		since = Since{Cursor: &at}
	}
	gone, _ := c.w.log.starts(ctx)
	start, err := i.h.Resolve(ctx, since)
	if err != nil {
		if !errors.Is(err, ErrBehind) {
			c.w.fail("%s: %v", c.name, err)
		}
		return false // it comes back
	}
	sub := newModelSub(c.want, 4+c.IntN(30), 1+c.IntN(20))
	i.hub.add(sub)
	defer i.hub.remove(sub)
	var caught sync.WaitGroup
	defer caught.Wait()
	defer cancel()
	live := start.IsLive()
	if live {
		var floor uint64
		start, floor = i.h.Now(c.want.User)
		live = sub.GoLive(floor)
	}
	if !c.begins(start, since, gone, foreign) {
		return false
	}
	c.cursor = start.Cursor().String()
	if !live {
		caught.Go(func() {
			if err := i.h.CatchUp(ctx, sub, c.want, start); err != nil && ctx.Err() == nil {
				sub.mu.Lock()
				sub.slow = true // the session ends, and the client comes back
				sub.mu.Unlock()
				signal(sub.woken)
			}
		})
	}
	c.trace = append(c.trace, fmt.Sprintf("%s: instance %p from %v (live %v, lost %q), since %+v",
		time.Now().Format("15:04:05.000"), i, start.next, live, start.Lost, since))
	return c.read(sub, last)
}

// begins checks the place that a connection begins at: right behind what the client has had, or it was told that there
// is a gap.
func (c *modelClient) begins(start Start, since Since, gone []int64, foreign bool) bool {
	all := c.w.log.naive(c.want)
	first := c.seen == nil
	if first {
		c.seen = make([]int, len(all))
	}
	if foreign && start.Lost == "" {
		c.w.fail("%s came with a cursor of another log, and was told that nothing is lost", c.name)
	}
	lost := false
	for p := range all {
		at, _ := slices.BinarySearch(all[p], start.next[p])
		if at != c.seen[p] && !first && start.Lost == "" {
			c.w.fail("%s had %d of %v in partition %d and goes on at %d, and nothing is said to be lost",
				c.name, c.seen[p], all[p], p, start.next[p])
			return false
		}
		if at > c.seen[p] && !first && all[p][at-1] >= max(gone[p], start.next[p]) {
			c.w.fail("%s had %d of %v in partition %d and goes on at %d: what is there is passed over", c.name, c.seen[p],
				all[p], p, start.next[p])
			return false
		}
		if since.Cursor != nil && p < len(since.Cursor.Events) {
			lost = lost || since.Cursor.Events[p] < start.next[p]
		}
		c.seen[p] = at
	}
	if since.Cursor != nil && since.Cursor.Base == nil && start.Lost != "" && !foreign && !lost {
		c.w.fail("%s is told %q, and goes on where it was", c.name, start.Lost)
	}
	return true
}

// read takes what comes, for a while or until nothing does: quiet, then.
func (c *modelClient) read(sub *modelSub, last bool) (quiet bool) {
	left := c.IntN(60)
	for last || left > 0 {
		left--
		within := upTo(c.Rand, 20*time.Second)
		if last {
			within = 2 * time.Minute
		}
		d, ok := sub.next(within)
		if !ok {
			sub.mu.Lock()
			defer sub.mu.Unlock()
			return !sub.slow && !sub.holding
		}
		if d.event != "" && !c.had(d.event) {
			return false
		}
		c.cursor = d.cursor
		if c.w.slow && c.IntN(10) == 0 {
			time.Sleep(upTo(c.Rand, 3*time.Second)) //nolint:forbidigo // the bubble's clock
		}
	}
	return false
}

// had checks that an event is the client's next one in its partition.
func (c *modelClient) had(event string) bool {
	var p int
	var offset int64
	if _, err := fmt.Sscanf(event, "%d/%d", &p, &offset); err != nil {
		c.w.fail("%s was given %q", c.name, event)
		return false
	}
	all := c.w.log.naive(c.want)[p]
	if c.seen[p] >= len(all) || all[c.seen[p]] != offset {
		c.w.fail("%s of %+v was given %s after %d of %v\n%s\n%s", c.name, c.want, event, c.seen[p], all,
			strings.Join(c.trace, "\n"), c.w.log.dump(p))
		return false
	}
	c.seen[p]++
	return true
}
