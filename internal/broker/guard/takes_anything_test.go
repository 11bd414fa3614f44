package guard

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/pace"
)

// requestsEnv says how many requests TestGuardTakesAnything sends, for example
//
//	TASKLANE_GUARD_REQUESTS=10000000 go test ./internal/broker/guard -run TestGuardTakesAnything -timeout 3h -v
const (
	requestsEnv     = "TASKLANE_GUARD_REQUESTS"
	fewRequests     = 30_000
	hammers         = 6
	requestsAtOnce  = 16
	checkEvery      = 20_000 // requests
	growthBytes     = 96 << 20
	growthGoroutine = 2*maxLingering + 100
)

// TestGuardTakesAnything sends requests of all kinds and versions, served or not,
// with sense and without, on many connections, to a broker that must not crash
// (which would end this process), hang or grow. Now and then it looks whether an
// ordinary client is still served.
func TestGuardTakesAnything(t *testing.T) {
	total := int64(fewRequests)
	if text := os.Getenv(requestsEnv); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", requestsEnv, err)
		}
		total = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	addr := runForHammers(t)
	h := &hammering{t: t, addr: addr, left: total}
	h.alive()
	var wg sync.WaitGroup
	for i := range uint64(hammers) {
		rng := rand.New(rand.NewPCG(seed, i))
		wg.Go(func() { h.hammer(rng) })
	}
	wg.Wait()
	h.alive()
	h.mustNotHaveGrown()
	t.Logf("%d requests, %d answers, %d connections", h.sent.Load(), h.answered.Load(), h.dialed.Load())
	if h.answered.Load() < h.sent.Load()/4 {
		t.Error("hardly anything was answered: the requests do not get past the guard")
	}
}

// runForHammers runs a guarded engine whose log is compacted, and loses what has expired,
// all the time.
func runForHammers(t *testing.T) (addr string) {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir, addr := t.TempDir(), socket.Addr().String()
	g := New(socket, Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	cluster, err := kfake.NewCluster(append(g.EngineOptions(), kfake.NumBrokers(1), kfake.DataDir(dir))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.Attend(ctx, cluster, addr) })
	running.Go(func() {
		pace.Every(ctx, 500*time.Millisecond, func() {
			cluster.Compact()
			cluster.ApplyRetention()
		})
	})
	t.Cleanup(func() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cancel()
			running.Wait()
			cluster.Close()
			g.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("the engine does not end")
		}
	})
	return addr
}

// hammering is what the senders share.
type hammering struct {
	t    *testing.T
	addr string

	sent, answered, dialed atomic.Int64

	mu      sync.Mutex
	left    int64
	until   int64 // the next check
	memory  uint64
	threads int
	known   filler // what exists
}

// more takes a part of the work, and looks after the broker now and then.
func (h *hammering) more() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left <= 0 || h.t.Failed() {
		return false
	}
	h.left -= requestsAtOnce
	h.until -= requestsAtOnce
	if h.until <= 0 {
		h.until = checkEvery
		h.check()
	}
	return true
}

// hammer sends requests until there are enough.
func (h *hammering) hammer(rng *rand.Rand) {
	for h.more() {
		h.mu.Lock()
		f := h.known
		h.mu.Unlock()
		f.rng = rng
		h.batch(&f)
	}
}

// batch sends requests so that each gets to the guard: behind one that is refused
// or not answered soon, on another connection.
func (h *hammering) batch(f *filler) {
	var requests []kmsg.Request
	var frames [][]byte
	for i := range requestsAtOnce {
		req := f.request()
		frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("hammer")).AppendRequest(nil, req, int32(i))
		if f.rng.IntN(40) == 0 {
			frame[sizeBytes+f.rng.IntN(len(frame)-sizeBytes)] ^= byte(1 << f.rng.IntN(8))
		}
		requests, frames = append(requests, req), append(frames, frame)
	}
	h.sent.Add(requestsAtOnce)
	for from := 0; from < len(frames); {
		from = h.exchange(requests, frames, from) + 1
	}
}

// exchange sends frames from one on and returns the first that is not answered.
func (h *hammering) exchange(requests []kmsg.Request, frames [][]byte, from int) int {
	conn, err := new(net.Dialer).DialContext(h.t.Context(), "tcp", h.addr)
	if err != nil {
		h.t.Errorf("the broker takes no connections any more: %v", err)
		return len(frames)
	}
	defer conn.Close()
	h.dialed.Add(1)
	_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
	_, _ = conn.Write(bytes.Join(frames[from:], nil)) // it may be closed half way
	header := make([]byte, sizeBytes+correlationBytes)
	for from < len(frames) {
		if p, ok := requests[from].(*kmsg.ProduceRequest); ok && p.Acks == 0 {
			from++ // is not answered
			continue
		}
		if _, err := io.ReadFull(conn, header); err != nil {
			return from
		}
		body := make([]byte, max(0, int(binary.BigEndian.Uint32(header))-correlationBytes))
		if _, err := io.ReadFull(conn, body); err != nil {
			return from
		}
		h.answered.Add(1)
		h.learn(requests[from], body)
		from++
	}
	return from
}

// learn remembers members and generations, so that later requests name them.
func (h *hammering) learn(req kmsg.Request, body []byte) {
	resp := req.ResponseKind()
	if resp.IsFlexible() && len(body) > 0 {
		body = body[1:]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		if resp.ReadFrom(body) == nil && resp.MemberID != "" {
			h.known.members = append(h.known.members[max(0, len(h.known.members)-7):len(h.known.members):len(h.known.members)],
				resp.MemberID)
			h.known.generation = resp.Generation
		}
	case *kmsg.ConsumerGroupHeartbeatResponse:
		if resp.ReadFrom(body) == nil && resp.MemberID != nil {
			h.known.members = append(h.known.members[max(0, len(h.known.members)-7):len(h.known.members):len(h.known.members)],
				*resp.MemberID)
			h.known.generation = resp.MemberEpoch
		}
	}
}

// check looks whether an ordinary client is served, and what the broker takes. It
// wants mu.
func (h *hammering) check() {
	h.alive()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if h.sent.Load() < checkEvery {
		h.memory, h.threads = m.HeapAlloc, runtime.NumGoroutine()
	}
	h.t.Logf("%d sent, %d answered, %d MiB, %d goroutines", h.sent.Load(), h.answered.Load(), m.HeapAlloc>>20,
		runtime.NumGoroutine())
	if m.HeapAlloc > h.memory+growthBytes || runtime.NumGoroutine() > h.threads+growthGoroutine {
		h.t.Errorf("grew from %d to %d MiB and from %d to %d goroutines",
			h.memory>>20, m.HeapAlloc>>20, h.threads, runtime.NumGoroutine())
	}
}

func (h *hammering) mustNotHaveGrown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.check()
}

// alive produces and reads a record as anybody would, and learns what exists.
func (h *hammering) alive() {
	ctx, cancel := context.WithTimeout(h.t.Context(), 2*time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(h.addr), kgo.ConsumeTopics("alive"),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		h.t.Fatal(err)
	}
	defer cl.Close()
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{"alive", "t-0", "t-1", "t-2"} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
		if name != "alive" {
			short := "1000"
			topic.NumPartitions = 3
			topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "retention.ms", Value: &short})
		}
		create.Topics = append(create.Topics, topic)
	}
	if _, err := create.RequestWith(ctx, cl); err != nil {
		h.t.Errorf("the broker makes no topics any more: %v", err)
	}
	value := fmt.Sprint(h.sent.Load())
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "alive", Value: []byte(value)}).FirstErr(); err != nil {
		h.t.Errorf("the broker takes no records any more: %v", err)
		return
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{"alive": {0: kgo.NewOffset().AtStart()}})
	for found := false; !found; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			h.t.Errorf("the broker gives no records any more: %v", err)
			return
		}
		fetches.EachRecord(func(r *kgo.Record) { found = found || string(r.Value) == value })
	}
	h.know(ctx, cl)
}

// know learns the ids of topics.
func (h *hammering) know(ctx context.Context, cl *kgo.Client) {
	all, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		h.t.Errorf("the broker does not say what topics there are: %v", err)
		return
	}
	var ids [][16]byte
	for _, topic := range all.Topics {
		if topic.Topic != nil && *topic.Topic != "alive" && len(ids) < 4 {
			ids = append(ids, topic.TopicID)
		}
	}
	h.known.ids = ids
	h.known.producers = []int64{1, 2, 3, 1 << 40}
	h.known.words = []string{"t-0", "t-1", "t-2", "g-0", "g-1", "consumer", "range"}
}
