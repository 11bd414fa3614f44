package logreader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
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

const patience = 60 * time.Second

// lines is a log that tests look into.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// followed is a topic that is written to and followed.
type followed struct {
	t      *testing.T
	topic  string
	writer *kgo.Client
	admin  *kadm.Client
	config Config
	log    *lines
	ctx    context.Context
}

func newFollowed(t *testing.T, partitions int32) *followed {
	t.Helper()
	brokers := kafkatest.Start(t)
	f := &followed{t: t, topic: kafkatest.Prefix(t) + "followed", log: new(lines)}
	f.writer = kafkatest.Client(t, brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	f.admin = kadm.NewClient(f.writer)
	var cancel context.CancelFunc
	f.ctx, cancel = context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	f.config = Config{
		Kafka: kafka.Config{Brokers: strings.Split(brokers, ",")}, Topics: []string{f.topic}, Name: "tests",
		Health: new(kafka.Health), Logger: slog.New(slog.NewTextHandler(f.log, nil)),
	}
	if partitions > 0 {
		f.create(partitions)
	}
	return f
}

func (f *followed) create(partitions int32) {
	f.t.Helper()
	if _, err := f.admin.CreateTopic(f.ctx, partitions, 1, nil, f.topic); err != nil {
		f.t.Fatal(err)
	}
}

func (f *followed) open() *Reader {
	f.t.Helper()
	r, err := Open(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(r.Close)
	return r
}

// write writes numbers, one a record, in turn to all partitions.
func (f *followed) write(partitions, from, to int) {
	f.t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: f.topic, Partition: int32(i % partitions),
			Value: []byte(strconv.Itoa(i))})
	}
	if err := f.writer.ProduceSync(f.ctx, records...).FirstErr(); err != nil {
		f.t.Fatal(err)
	}
}

// collect has the values of a poll noted.
func collect(into *[]string) func(kgo.FetchTopicPartition) error {
	return func(p kgo.FetchTopicPartition) error {
		for _, r := range p.Records {
			*into = append(*into, string(r.Value))
		}
		return nil
	}
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	slices.Sort(all)
	return all
}

// TestReadsAllThereIs: a reader that begins before its topic is there waits for it, says
// why once, and comes to the ends that it is told.
func TestReadsAllThereIs(t *testing.T) {
	f := newFollowed(t, 0)
	r := f.open()
	awaited := make(chan error, 1)
	go func() { awaited <- r.Await(f.ctx) }()
	for f.log.count("cannot be read yet") == 0 {
		select {
		case err := <-awaited:
			t.Fatalf("a topic that is not there was found: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	f.create(3)
	if err := <-awaited; err != nil {
		t.Fatal(err)
	}
	if n := f.log.count("cannot be read yet"); n != 1 {
		t.Errorf("the reason was said %d times", n)
	}
	if r.Partitions(f.topic) != 3 || r.TopicID(f.topic) == [16]byte{} || r.Cluster() == "" {
		t.Errorf("found %d partitions, id %x, cluster %q", r.Partitions(f.topic), r.TopicID(f.topic), r.Cluster())
	}
	f.write(2, 0, 20) // nothing in the third
	ends, err := r.AwaitEnds(f.ctx, f.topic)
	if err != nil || len(ends[f.topic]) != 2 || ends[f.topic][1].Offset != 10 {
		t.Fatalf("ends %v, %v", ends, err)
	}
	r.BeginAtStart()
	var got []string
	for len(got) < 20 {
		if err := r.Poll(f.ctx, collect(&got)); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Sort(got); !slices.Equal(got, numbers(0, 20)) {
		t.Errorf("read %v", got)
	}
	if err := f.config.Health.Err(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// TestDeadlineLosesNothing: however short the polls are, every record is taken once.
func TestDeadlineLosesNothing(t *testing.T) {
	f := newFollowed(t, 2)
	r := f.open()
	if err := r.Await(f.ctx); err != nil {
		t.Fatal(err)
	}
	r.BeginAtStart()
	written, got := 0, []string(nil)
	rapid.Check(t, func(rt *rapid.T) {
		if n := rapid.IntRange(0, 50).Draw(rt, "records"); n > 0 {
			f.write(2, written, written+n)
			written += n
		}
		f.config.Records = 10
		for len(got) < written {
			wait := time.Duration(rapid.IntRange(0, 3000).Draw(rt, "µs")) * time.Microsecond
			ctx, cancel := context.WithTimeout(f.ctx, wait)
			err := r.Poll(ctx, collect(&got))
			cancel()
			if err != nil {
				rt.Fatal(err)
			}
			if f.ctx.Err() != nil {
				rt.Fatalf("%d of %d records came", len(got), written)
			}
		}
	})
	if slices.Sort(got); !slices.Equal(got, numbers(0, written)) {
		t.Errorf("read %d records of %d, or some twice", len(got), written)
	}
}

// follow polls until the session ends, and is why.
func (f *followed) follow(r *Reader, began func()) error {
	return r.Follow(f.ctx, func(ctx context.Context) error {
		began()
		for {
			if err := r.Poll(ctx, func(kgo.FetchTopicPartition) error { return nil }); err != nil {
				return err
			}
		}
	})
}

// TestAnotherTopicEndsTheSession: one that was made anew, and one that has grown where
// the caller does not see to that by itself.
func TestAnotherTopicEndsTheSession(t *testing.T) {
	for name, change := range map[string]func(*followed){
		"made anew": func(f *followed) {
			if _, err := f.admin.DeleteTopics(f.ctx, f.topic); err != nil {
				f.t.Error(err)
			}
			f.create(1)
		},
		"grown": func(f *followed) {
			if _, err := f.admin.CreatePartitions(f.ctx, 1, f.topic); err != nil {
				f.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollowed(t, 1)
			r := f.open()
			if err := r.Await(f.ctx); err != nil {
				t.Fatal(err)
			}
			r.BeginAtStart()
			err := f.follow(r, func() { change(f) })
			var changed *kafka.ChangedError
			if !errors.As(err, &changed) && !kafka.IsGone(err) {
				t.Errorf("ended with %v", err)
			}
			if f.ctx.Err() != nil {
				t.Error("it was not noticed in time")
			}
		})
	}
}

// TestGrowingTopicGoesOn: the caller begins new partitions while it follows.
func TestGrowingTopicGoesOn(t *testing.T) {
	f := newFollowed(t, 1)
	f.config.Grows, f.config.Rewinds = true, true
	r := f.open()
	if err := r.Await(f.ctx); err != nil {
		t.Fatal(err)
	}
	r.Begin(map[string]map[int32]int64{f.topic: {0: 0}})
	if _, err := f.admin.CreatePartitions(f.ctx, 1, f.topic); err != nil {
		t.Fatal(err)
	}
	r.Begin(map[string]map[int32]int64{f.topic: {1: 0}})
	var got []string
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for f.ctx.Err() == nil { // until the client knows of the partition
			r := &kgo.Record{Topic: f.topic, Partition: 1, Value: []byte("new")}
			if f.writer.ProduceSync(f.ctx, r).FirstErr() == nil {
				return
			}
		}
	}()
	err := r.Follow(f.ctx, func(ctx context.Context) error {
		for len(got) == 0 {
			if err := r.Poll(ctx, collect(&got)); err != nil {
				return err
			}
		}
		return nil
	})
	<-wrote
	if err != nil || !slices.Equal(got, []string{"new"}) {
		t.Errorf("read %v, %v", got, err)
	}
}

// TestPlaceThatIsNoLongerThere: the session ends, or goes on at the oldest record.
func TestPlaceThatIsNoLongerThere(t *testing.T) {
	f := newFollowed(t, 1)
	f.write(1, 0, 10)
	for _, place := range []int64{11, 1 << 40} {
		f.config.FromStart = false
		r := f.open()
		r.Begin(map[string]map[int32]int64{f.topic: {0: place}})
		var got []string
		err := error(nil)
		for err == nil && len(got) == 0 {
			err = r.Poll(f.ctx, collect(&got))
		}
		if !errors.Is(err, ErrLost) {
			t.Errorf("at %d: read %v, %v", place, got, err)
		}
		f.config.FromStart = true
		r = f.open()
		r.Begin(map[string]map[int32]int64{f.topic: {0: place}})
		got, err = nil, nil
		for err == nil && len(got) == 0 {
			err = r.Poll(f.ctx, collect(&got))
		}
		if err != nil || got[0] != "0" {
			t.Errorf("at %d, from the start: read %v, %v", place, got, err)
		}
	}
}

func TestClosedReaderEnds(t *testing.T) {
	f := newFollowed(t, 1)
	r := f.open()
	r.Close()
	if err := r.Poll(f.ctx, func(kgo.FetchTopicPartition) error { return nil }); !errors.Is(err, kgo.ErrClientClosed) {
		t.Errorf("%v", err)
	}
	f.config.Kafka.Brokers = []string{"no port, no broker"}
	if r, err := Open(f.config); err == nil {
		r.Close()
		t.Error("an address that is none was taken")
	}
}

// TestFollowEnds with what ended it: the caller's context, or what read returns.
func TestFollowEnds(t *testing.T) {
	f := newFollowed(t, 1)
	r := f.open()
	if err := r.Await(f.ctx); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := r.Follow(f.ctx, func(context.Context) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(f.ctx)
	cancel(mine)
	err := r.Follow(ctx, func(ctx context.Context) error { <-ctx.Done(); return errors.New("another") })
	if !errors.Is(err, mine) {
		t.Errorf("%v", err)
	}
	if err := r.Poll(ctx, func(kgo.FetchTopicPartition) error { return nil }); !errors.Is(err, mine) {
		t.Errorf("poll: %v", err)
	}
	if err := r.Await(ctx); !errors.Is(err, mine) {
		t.Errorf("await: %v", err)
	}
	if _, err := r.AwaitEnds(ctx, f.topic); !errors.Is(err, mine) {
		t.Errorf("await ends: %v", err)
	}
}

func partition(number int32, offsets ...int64) kgo.FetchTopicPartition {
	p := kgo.FetchTopicPartition{Topic: "t", FetchPartition: kgo.FetchPartition{Partition: number}}
	for _, offset := range offsets {
		p.Records = append(p.Records, &kgo.Record{Topic: "t", Partition: number, Offset: offset})
	}
	return p
}

// TestRewound: records that come again end the session before they are taken, of the
// partition that they are in; where offsets are missing, that is compaction.
func TestRewound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rewinds := rapid.Bool().Draw(t, "rewinds")
		r := &Reader{config: Config{Rewinds: rewinds}, next: map[string]map[int32]int64{}}
		next := map[int32]int64{}
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			number := rapid.Int32Range(0, 2).Draw(t, "partition")
			first := rapid.Int64Range(0, 40).Draw(t, "first")
			last := first + rapid.Int64Range(1, 5).Draw(t, "more")
			taken := false
			err := r.takePartition(partition(number, first, last),
				func(kgo.FetchTopicPartition) error { taken = true; return nil })
			again := first < next[number]
			if want := again && !rewinds; errors.Is(err, ErrRewound) != want || taken == want {
				t.Fatalf("%d to %d in a partition that was read up to %d: %v, taken: %t", first, last, next[number],
					err, taken)
			}
			if again && !rewinds {
				return
			}
			next[number] = last + 1
		}
	})
}

// TestJudge: what ends a session and what passes.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		err       error
		fromStart bool
		want      error // nil: it passes
	}{
		{kerr.OffsetOutOfRange, false, ErrLost},
		{kerr.OffsetOutOfRange, true, nil},
		{&kgo.ErrDataLoss{Topic: "t"}, false, ErrLost},
		{&kgo.ErrDataLoss{Topic: "t"}, true, nil},
		{kerr.UnknownTopicID, false, kerr.UnknownTopicID},
		{kerr.UnknownTopicOrPartition, true, kerr.UnknownTopicOrPartition},
		{kgo.ErrClientClosed, false, kgo.ErrClientClosed},
		{kerr.NotLeaderForPartition, false, nil},
		{kerr.TopicAuthorizationFailed, false, nil},
		{errors.New("connection refused"), true, nil},
	} {
		log, failed := new(lines), 0
		r := &Reader{
			config: Config{Name: "tests", FromStart: test.fromStart, Logger: slog.New(slog.NewTextHandler(log, nil)),
				Failed: func(error) { failed++ }},
			next: map[string]map[int32]int64{},
		}
		p := partition(3)
		p.Err = test.err
		for range 3 {
			err := r.takePartition(p, func(kgo.FetchTopicPartition) error { return nil })
			if (err == nil) != (test.want == nil) || !errors.Is(err, test.want) {
				t.Errorf("%v: %v", test.err, err)
			}
		}
		if warned := log.count("tried again"); failed != 3 || test.want == nil && warned != 1 || test.want != nil &&
			warned != 0 {
			t.Errorf("%v: told of %d times, warned %d times", test.err, failed, warned)
		}
	}
}

// TestReadRange: any stretch of a partition, and as much of it as is wanted.
func TestReadRange(t *testing.T) {
	f := newFollowed(t, 2)
	f.write(1, 0, 40)
	for _, s := range []struct{ from, end, most, first, last int64 }{
		{0, 40, 99, 0, 39}, {4, 40, 99, 4, 39}, {10, 20, 99, 10, 19}, {39, 40, 99, 39, 39}, {10, 40, 3, 10, 12},
		{7, 7, 9, -1, -1}, {9, 7, 9, -1, -1},
	} {
		var got []int64
		err := ReadRange(f.ctx, f.config.Kafka, Range{Topic: f.topic, From: s.from, End: s.end},
			func(r *kgo.Record) bool {
				got = append(got, r.Offset)
				return int64(len(got)) < s.most
			})
		want := []int64(nil)
		for offset := s.first; offset >= 0 && offset <= s.last; offset++ {
			want = append(want, offset)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: %v, %v", s, got, err)
		}
	}
	mine := errors.New("mine")
	ctx, cancel := context.WithTimeoutCause(f.ctx, 50*time.Millisecond, mine)
	defer cancel()
	err := ReadRange(ctx, f.config.Kafka, Range{Topic: f.topic, Partition: 1, End: 9},
		func(*kgo.Record) bool { return true })
	if !errors.Is(err, mine) || !strings.Contains(fmt.Sprint(err), f.topic+"/1") {
		t.Errorf("a range that never comes to its end: %v", err)
	}
}

// TestOpenReadsOnlyItsTopics: what is looked at too is waited for and not read.
func TestOpenReadsOnlyItsTopics(t *testing.T) {
	f := newFollowed(t, 1)
	other := f.topic + "-other"
	f.config.Also = []string{other}
	r := f.open()
	ctx, cancel := context.WithTimeout(f.ctx, 300*time.Millisecond)
	err := r.Await(ctx)
	cancel()
	if err == nil || f.log.count(other) == 0 {
		t.Errorf("it does not wait for the other topic: %v", err)
	}
	if _, err := f.admin.CreateTopic(f.ctx, 1, 1, nil, other); err != nil {
		t.Fatal(err)
	}
	if err := r.Await(f.ctx); err != nil {
		t.Fatal(err)
	}
	r.BeginAtStart()
	if err := f.writer.ProduceSync(f.ctx, &kgo.Record{Topic: other, Value: []byte("other")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	f.write(1, 0, 3)
	seen := map[string]int{}
	for seen[f.topic] < 3 {
		err := r.Poll(f.ctx, func(p kgo.FetchTopicPartition) error { seen[p.Topic] += len(p.Records); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(seen, map[string]int{f.topic: 3}) {
		t.Errorf("read %v", seen)
	}
}
