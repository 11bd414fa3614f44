package ownership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

const (
	patience   = 60 * time.Second
	partitions = 4
)

// cluster is a topic whose partitions are shared.
type cluster struct {
	t       *testing.T
	brokers string
	topic   string
	writer  *kgo.Client
	admin   *kadm.Client
	ctx     context.Context
	// claims is which worker works on each partition: two at once are an error.
	mu     sync.Mutex
	claims map[int32]string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, brokers: kafkatest.Start(t), topic: kafkatest.Prefix(t) + "shared", claims: map[int32]string{}}
	c.writer = kafkatest.Client(t, c.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	c.admin = kadm.NewClient(c.writer)
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	if _, err := c.admin.CreateTopic(c.ctx, partitions, 1, nil, c.topic); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) group() string { return c.topic + "-group" }

func (c *cluster) write(n int) {
	c.t.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: c.topic, Partition: int32(i % partitions), Value: []byte("x")})
	}
	if err := c.writer.ProduceSync(c.ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// committed is where the group stands, by partition.
func (c *cluster) committed() map[int32]kadm.OffsetResponse {
	c.t.Helper()
	for {
		offsets, err := c.admin.FetchOffsets(c.ctx, c.group())
		switch {
		case err == nil || errors.Is(err, kerr.GroupIDNotFound):
			return offsets[c.topic]
		// a fresh Apache Kafka makes its coordinator at the first question
		case kerr.IsRetriable(err) && c.ctx.Err() == nil:
			continue
		}
		c.t.Fatal(err)
	}
}

func (c *cluster) await(what string, so func() bool) {
	c.t.Helper()
	for !so() {
		select {
		case <-c.ctx.Done():
			c.t.Fatalf("%s did not come to be", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// worker owns partitions: it counts what it is given, and commits that.
type worker struct {
	c      *cluster
	name   string
	member *Member
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	next    map[int32]int64
	taken   map[int32]int64
	drained int
	lost    int
	// stubborn work goes on until it is cut off.
	stubborn bool
	cutOff   int
	// foreign is a commit of a partition that is not owned.
	foreign map[int32]int64
}

func (c *cluster) worker(name string) *worker {
	w := &worker{c: c, name: name, next: map[int32]int64{}, taken: map[int32]int64{}, ended: make(chan struct{})}
	w.member = New(Config{
		Kafka: kafka.Config{Brokers: strings.Split(c.brokers, ",")}, Group: c.group(), Topic: c.topic, Name: "tests",
		SessionTimeout: 10 * time.Second, DrainTimeout: 50 * time.Millisecond, CommitInterval: 10 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}, w)
	return w
}

// run joins, polls and commits until it is told to stop.
func (w *worker) run() *worker {
	w.c.t.Helper()
	if err := w.member.Join(); err != nil {
		w.c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.c.ctx)
	w.stop = sync.OnceFunc(func() { cancel(); <-w.ended })
	w.c.t.Cleanup(w.stop)
	go func() {
		defer close(w.ended)
		var loops sync.WaitGroup
		loops.Go(func() { w.member.Run(ctx) })
		for ctx.Err() == nil {
			_ = w.member.Poll(ctx, 10, w.handle)
		}
		loops.Wait()
		w.member.Release(w.partitions())
		w.member.Leave()
	}()
	return w
}

func (w *worker) handle(fetches kgo.Fetches) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		if _, mine := w.next[r.Partition]; !mine {
			w.c.t.Errorf("%s is given a record of partition %d, which it does not own", w.name, r.Partition)
		}
		w.next[r.Partition] = r.Offset + 1
	})
	return nil
}

func (w *worker) partitions() []int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []int32
	for p := range w.next {
		all = append(all, p)
	}
	return all
}

func (w *worker) Assigned(_ context.Context, partitions []int32) {
	w.c.mu.Lock()
	for _, p := range partitions {
		if other := w.c.claims[p]; other != "" {
			w.c.t.Errorf("%s is assigned partition %d, which %s works on", w.name, p, other)
		}
		w.c.claims[p] = w.name
	}
	w.c.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range partitions {
		w.next[p] = -1
	}
}

func (w *worker) Drain(ctx context.Context, partitions []int32) {
	w.mu.Lock()
	stubborn := w.stubborn
	w.drained += len(partitions)
	w.mu.Unlock()
	if stubborn {
		<-ctx.Done()
		w.mu.Lock()
		w.cutOff++
		w.mu.Unlock()
	}
}

func (w *worker) Lost(partitions []int32) {
	w.mu.Lock()
	w.lost += len(partitions)
	w.mu.Unlock()
	w.Forget(partitions)
}

func (w *worker) Forget(partitions []int32) {
	w.c.mu.Lock()
	for _, p := range partitions {
		delete(w.c.claims, p)
	}
	w.c.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range partitions {
		delete(w.next, p)
	}
}

func (w *worker) Commits() map[int32]Commit {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[int32]Commit{}
	for p, next := range w.next {
		if next <= w.taken[p] {
			continue
		}
		all[p] = Commit{Place: kafka.Place{Offset: next, LeaderEpoch: -1, Metadata: w.name}, Taken: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.taken[p] = next
		}}
	}
	for p, next := range w.foreign {
		all[p] = Commit{Place: kafka.Place{Offset: next, LeaderEpoch: -1, Metadata: "foreign"}}
	}
	return all
}

func (w *worker) owns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.next)
}

// everything reports whether all that was written is committed.
func (c *cluster) everything(each int64) func() bool {
	return func() bool {
		at := c.committed()
		for p := range int32(partitions) {
			if at[p].At != each {
				return false
			}
		}
		return true
	}
}

// TestOneMemberCommitsWhatItHas: with its metadata, and once only.
func TestOneMemberCommitsWhatItHas(t *testing.T) {
	c := newCluster(t)
	c.write(40)
	w := c.worker("one").run()
	c.await("all is committed", c.everything(10))
	w.stop()
	if at := c.committed()[0]; at.Metadata != "one" || w.owns() != 0 || w.drained != partitions {
		t.Errorf("committed %+v, owns %d, drained %d", at, w.owns(), w.drained)
	}
	if err := w.member.config.Standing.Err(); err != nil {
		t.Error(err)
	}
	second := c.worker("two").run() // goes on where the first stood
	c.await("the second has the partitions", func() bool { return second.owns() == partitions })
	c.write(4)
	c.await("the rest is committed", c.everything(11))
	second.stop()
}

// TestMembersShareAndComeAndGo: at any time each partition has one worker, and in the end
// all is committed, whoever has worked on it.
func TestMembersShareAndComeAndGo(t *testing.T) {
	c := newCluster(t)
	var each int64
	var running []*worker
	for round := range 6 {
		running = append(running, c.worker(fmt.Sprintf("worker-%d", round)).run())
		c.await("every partition has a worker", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.claims) == partitions
		})
		c.write(8 * partitions)
		each += 8
		c.await(fmt.Sprintf("all of round %d is committed", round), c.everything(each))
		if len(running) > 2 {
			running[0].stop()
			running = running[1:]
		}
	}
	for _, w := range running {
		w.stop()
	}
	if at := c.committed()[0].At; at != each {
		t.Errorf("the group stands at %d, want %d", at, each)
	}
}

// TestStubbornWorkIsCutOff: a rebalance and a stop wait for the drain timeout, and the
// partitions move.
func TestStubbornWorkIsCutOff(t *testing.T) {
	c := newCluster(t)
	c.write(8)
	first := c.worker("first")
	first.stubborn = true
	first.run()
	c.await("the first has all", func() bool { return first.owns() == partitions })
	second := c.worker("second").run()
	c.await("the second has half", func() bool { return second.owns() == partitions/2 })
	first.stop()
	c.await("the second has all", func() bool { return second.owns() == partitions })
	second.stop()
	if first.cutOff != 2 || second.cutOff != 0 {
		t.Errorf("cut off %d and %d times", first.cutOff, second.cutOff)
	}
}

// TestCommitOfWhatIsNotOwned is not made: a member with a valid generation could.
func TestCommitOfWhatIsNotOwned(t *testing.T) {
	c := newCluster(t)
	c.write(8)
	first, second := c.worker("first").run(), c.worker("second")
	c.await("the first has all", func() bool { return first.owns() == partitions })
	second.run()
	c.await("they share", func() bool { return first.owns() == partitions/2 && second.owns() == partitions/2 })
	c.await("all is committed", c.everything(2))
	foreign := map[int32]int64{}
	for _, p := range second.partitions() {
		foreign[p] = 99
	}
	first.mu.Lock()
	first.foreign = foreign
	first.mu.Unlock()
	c.write(4)
	c.await("all is committed", c.everything(3))
	for p := range foreign {
		if err := first.member.PutBack(c.ctx, p, kafka.Place{Offset: 77}); err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		} else {
			t.Errorf("partition %d of another member was put back", p)
		}
	}
	first.stop()
	second.stop()
	for p, at := range c.committed() {
		if at.At != 3 {
			t.Errorf("partition %d stands at %d", p, at.At)
		}
	}
}

// TestPutBack commits a place before the group's.
func TestPutBack(t *testing.T) {
	c := newCluster(t)
	c.write(40)
	w := c.worker("one").run()
	c.await("all is committed", c.everything(10))
	if err := w.member.PutBack(c.ctx, 2, kafka.Place{Offset: 1, LeaderEpoch: -1, Metadata: "back"}); err != nil {
		t.Fatal(err)
	}
	if at := c.committed()[2]; at.At != 1 || at.Metadata != "back" {
		t.Errorf("stands at %+v", at)
	}
	over, cancel := context.WithCancel(c.ctx)
	cancel()
	if err := w.member.PutBack(over, 2, kafka.Place{Offset: 0, LeaderEpoch: -1}); !errors.Is(err, ErrRefused) {
		t.Errorf("with a context that has ended: %v", err)
	}
	w.stop()
}

// TestAbandonCommitsNothing: what is believed is in doubt.
func TestAbandonCommitsNothing(t *testing.T) {
	c := newCluster(t)
	c.write(40)
	w := c.worker("doubtful")
	w.member.config.CommitInterval = patience // never
	if err := w.member.Join(); err != nil {
		t.Fatal(err)
	}
	for {
		err := w.member.Poll(c.ctx, 10, w.handle)
		w.mu.Lock()
		read := w.next[0] > 0
		w.mu.Unlock()
		if err != nil || read {
			break
		}
	}
	w.member.Abandon(w.partitions())
	w.member.Leave()
	if at := c.committed(); len(at) != 0 || w.owns() != 0 || w.drained != 0 {
		t.Errorf("committed %v, owns %d, drained %d", at, w.owns(), w.drained)
	}
}

// TestPaused: nothing is fetched of a partition until it is resumed.
func TestPaused(t *testing.T) {
	c := newCluster(t)
	c.write(40)
	w := c.worker("slow")
	w.member.config.Options = []kgo.Opt{kgo.FetchMaxWait(10 * time.Millisecond)}
	if err := w.member.Join(); err != nil {
		t.Fatal(err)
	}
	defer w.member.Leave()
	w.member.Pause(0, 1)
	seen := map[int32]bool{}
	note := func(fetches kgo.Fetches) error {
		fetches.EachRecord(func(r *kgo.Record) { seen[r.Partition] = true })
		return nil
	}
	poll := func(until func() bool) {
		for !until() && c.ctx.Err() == nil {
			_ = w.member.Poll(c.ctx, 100, note)
		}
	}
	poll(func() bool { return seen[2] && seen[3] })
	if seen[0] || seen[1] {
		t.Errorf("read %v of what is paused", seen)
	}
	w.member.Resume(0)
	poll(func() bool { return seen[0] })
	if seen[1] || c.ctx.Err() != nil {
		t.Errorf("read %v", seen)
	}
}

// TestPollEnds with its context, and hands on what handling fails with.
func TestPollEnds(t *testing.T) {
	c := newCluster(t)
	c.write(4)
	w := c.worker("one")
	if err := w.member.Join(); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := w.member.Poll(c.ctx, 10, func(kgo.Fetches) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("%v", err)
	}
	over, cancel := context.WithCancel(c.ctx)
	cancel()
	if err := w.member.Poll(over, 10, func(kgo.Fetches) error { return mine }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	w.member.Leave()
	bad := New(Config{Kafka: kafka.Config{Brokers: []string{"no port, no broker"}}, Group: "g", Topic: "t",
		SessionTimeout: time.Second}, w)
	if err := bad.Join(); err == nil || !strings.Contains(err.Error(), "join g") {
		t.Errorf("%v", err)
	}
}

// TestOwnedIsWhatTheGroupHasSaid: after any sequence of calls a commit covers what was
// assigned and not taken away since.
func TestOwnedIsWhatTheGroupHasSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New(Config{}, nil)
		want := map[int32]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			some := rapid.SliceOfN(rapid.Int32Range(0, 6), 0, 4).Draw(t, "partitions")
			owned := rapid.Bool().Draw(t, "assigned")
			m.own(some, owned)
			for _, p := range some {
				want[p] = owned
			}
		}
		var all, got []int32
		for p, owned := range want {
			if owned {
				all = append(all, p)
			}
		}
		for p := range m.owned {
			got = append(got, p)
		}
		slices.Sort(all)
		slices.Sort(got)
		if !slices.Equal(all, got) {
			t.Fatalf("owns %v, want %v", got, all)
		}
	})
}

// TestLossIsToldBeforeACommitIsWaitedFor: the owner stops what it must at once, and the
// commit under way, which is in vain, is cut off.
func TestLossIsToldBeforeACommitIsWaitedFor(t *testing.T) {
	c := newCluster(t)
	w := c.worker("one")
	m := w.member
	close(m.connected)
	w.Assigned(t.Context(), []int32{0, 1})
	m.own([]int32{0, 1}, true)
	m.commitMu.Lock() // a commit without an answer, which ends when it is cut off
	told := -1
	m.breakOff = func() {
		w.mu.Lock()
		told = w.lost
		w.mu.Unlock()
		m.commitMu.Unlock()
	}
	m.lost(t.Context(), nil, map[string][]int32{c.topic: {1}})
	if told != 1 {
		t.Errorf("%d losses were told before the commit ended, want 1", told)
	}
	if !m.owned[0] || m.owned[1] {
		t.Errorf("owns %v", m.owned)
	}
}

// TestReleaseEndsRunWhereTheCommitGetsNoAnswer: no further commit is begun.
func TestReleaseEndsRunWhereTheCommitGetsNoAnswer(t *testing.T) {
	c := newCluster(t)
	c.write(40)
	var frozen atomic.Bool
	w := c.worker("one")
	w.member.config.Kafka.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &valve{Conn: conn, shut: &frozen}, err
	}
	w.run()
	c.await("all is committed", c.everything(10))
	frozen.Store(true)
	w.mu.Lock()
	for p := range w.next {
		w.next[p]++ // there is something to commit
	}
	w.mu.Unlock()
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	select {
	case <-stopped:
	case <-time.After(2*lastCommitTimeout + leaveTimeout + commitTimeout + patience/2): // a busy machine is slower
		t.Fatal("it is waited for a broker that does not answer")
	}
	frozen.Store(false)
	<-w.member.Left()
}

// valve is a connection that says nothing while it is shut.
type valve struct {
	net.Conn
	shut *atomic.Bool
}

func (v *valve) Read(p []byte) (int, error) {
	for {
		n, err := v.Conn.Read(p)
		if err != nil || !v.shut.Load() {
			return n, err
		}
	}
}
