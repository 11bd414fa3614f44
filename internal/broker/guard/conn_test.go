package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/logtest"
)

// connected is a guarded connection and its client's end.
func connected(t testing.TB, g *Guard) (*conn, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	g.slots.take()
	c := g.wrap(server)
	t.Cleanup(func() {
		_ = client.Close()
		_ = c.Close()
	})
	return c, client
}

// TestTheEngineGetsWhatWasSent: whole frames, in their order, however they arrive and however
// it reads.
func TestTheEngineGetsWhatWasSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newTestGuard()
		c, client := connected(t, g)
		var all []byte
		for range rapid.IntRange(1, 8).Draw(rt, "requests") {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group = rapid.StringMatching(`[a-z]{1,100}`).Draw(rt, "group")
			all = append(all, sent(req, rapid.Int16Range(0, 4).Draw(rt, "version"), 7)...)
		}
		pieces := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 20).Draw(rt, "pieces")
		go func() {
			defer client.Close()
			for rest, i := all, 0; len(rest) > 0; i++ {
				n := min(len(rest), pieces[i%len(pieces)])
				if _, err := client.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		var got []byte
		buffer := make([]byte, rapid.IntRange(1, 50).Draw(rt, "reads"))
		for {
			n, err := c.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, all) {
			rt.Fatalf("the engine got %d bytes of %d", len(got), len(all))
		}
	})
}

// TestLargeFramesArrive: in a buffer that grows, or one that another connection has left;
// what they take of the budget is given back.
func TestLargeFramesArrive(t *testing.T) {
	g := newTestGuard()
	value := bytes.Repeat([]byte("v"), 3<<20)
	r := kmsg.NewRecord()
	r.Value = value
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	req := kmsg.NewPtrProduceRequest()
	topic, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic, p.Records = "t", seedBatch(r.AppendTo(nil), 1, 0)
	topic.Partitions = append(topic.Partitions, p)
	req.Acks, req.Topics = -1, append(req.Topics, topic)
	large := sent(req, 9, 1)
	for range 3 {
		c, client := connected(t, g)
		go func() {
			_, _ = client.Write(append(append([]byte{}, large...), sent(kmsg.NewPtrHeartbeatRequest(), 0, 2)...))
			_ = client.Close()
		}()
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) <= len(large) || !bytes.Contains(got, value) {
			t.Fatalf("the engine got %d bytes, want more than %d", len(got), len(large))
		}
		_ = c.Close()
	}
	if g.frames.used != 0 || len(g.frames.held) != 0 {
		t.Errorf("%d bytes are still held for %d connections that are closed", g.frames.used, len(g.frames.held))
	}
	if n := g.slots.count(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

// TestMalformedFramesEndTheConnection, with a word in the log that says why.
func TestMalformedFramesEndTheConnection(t *testing.T) {
	unknown := sent(kmsg.NewPtrHeartbeatRequest(), 0, 1)
	binary.BigEndian.PutUint16(unknown[sizeBytes:], 999)
	for name, test := range map[string]struct {
		frame []byte
		says  string
	}{
		"a negative size":    {append([]byte{0xff, 0xff, 0xff, 0xff}, unknown[4:]...), "too short"},
		"an unknown API":     {unknown, "not served"},
		"a browser":          {[]byte("GET / HTTP/1.1\r\n\r\n"), "not served"},
		"a body cut short":   {append([]byte{0, 0, 0, 12}, sent(kmsg.NewPtrHeartbeatRequest(), 0, 1)[4:16]...), "Heartbeat"},
		"more than it may":   {[]byte{0x7f, 0, 0, 0, 0, byte(kmsg.Heartbeat), 0, 0, 0, 0, 0, 1}, "over the limit"},
		"a name without end": {sent(&kmsg.HeartbeatRequest{Group: strings.Repeat("x", 200_000)}, 0, 1), "over the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logtest.Buffer)
			g := New(nil, Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
			c, client := connected(t, g)
			go func() { _, _ = client.Write(test.frame) }()
			var refused *frameError
			if _, err := io.ReadAll(c); !errors.As(err, &refused) {
				t.Fatalf("the engine reads %v", err)
			}
			if !strings.Contains(log.String(), "malformed request") || !strings.Contains(log.String(), test.says) {
				t.Errorf("the log says %s, want %q", log, test.says)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the client reads %v, want the end", err)
			}
		})
	}
}

// TestSlowFramesEnd: a frame that has begun and does not go on holds memory. Small ones and
// silence between frames do not.
func TestSlowFramesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard()
		c, client := connected(t, g)
		ended := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(c)
			ended <- err
		}()
		if _, err := client.Write(sent(kmsg.NewPtrHeartbeatRequest(), 0, 1)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("silence ended the connection: %v", err)
		default:
		}
		if _, err := client.Write([]byte{0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1}); err != nil { // 64 KiB of Produce
			t.Fatal(err)
		}
		began := time.Now()
		if err := <-ended; err == nil {
			t.Error("the frame that does not go on came to an end")
		}
		if took := time.Since(began); took < frameTime || took > 2*frameTime {
			t.Errorf("it ended after %v, want about %v", took, frameTime)
		}
	})
}

// TestAnswersAreBounded: a client that takes no answers is closed, when another needs the
// room or after a minute.
func TestAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard()
		c, _ := connected(t, g)
		began := time.Now()
		if _, err := c.Write(make([]byte, slowBytes+1)); err == nil {
			t.Error("an answer that nobody takes was written")
		}
		if took := time.Since(began); took != answerTime {
			t.Errorf("given up after %v, want %v", took, answerTime)
		}
		other, client := connected(t, g)
		go func() { _, _ = io.Copy(io.Discard, client) }()
		if !g.replies.grow(c, maxAnswerBytes-10) {
			t.Fatal("there is no room at all")
		}
		if _, err := other.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) && err != nil {
			t.Fatal(err)
		}
		if g.replies.held[c] != 0 {
			t.Error("the one that was idle still holds its memory")
		}
	})
}

// TestBudget: never more than the limit, but for one that is alone; who has been idle makes
// room, nobody else.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newTestGuard()
		b := newBudget(100)
		conns := make([]*conn, 4)
		for i := range conns {
			conns[i], _ = connected(t, g)
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			c := conns[rapid.IntRange(0, 3).Draw(rt, "whose")]
			n := rapid.Int64Range(1, 60).Draw(rt, "bytes")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0, 1:
				c.move()
				before := maps.Clone(b.held)
				b.grow(c, n)
				for other, held := range before {
					if other != c && b.held[other] != held && time.Since(other.lastMoved()) < idleBeforeEviction {
						rt.Fatalf("one that has just moved lost %d bytes", held-b.held[other])
					}
				}
			case 2:
				b.shrink(c, n)
			case 3:
				b.drop(c)
			case 4:
				c.moved.Store(time.Now().Add(-time.Hour).UnixNano())
			}
			sum := int64(0)
			for _, held := range b.held {
				if held <= 0 {
					rt.Fatalf("somebody holds %d bytes", held)
				}
				sum += held
			}
			if sum != b.used || b.used < 0 || b.used > 100 && len(b.held) > 1 {
				rt.Fatalf("%d bytes of 100 are used, %d are held by %d", b.used, sum, len(b.held))
			}
		}
	})
}

// TestSlots: no more connections than may be; the idlest makes room once it has been idle.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		socket := &pipes{ends: make(chan net.Conn, 10)}
		g := New(socket, Config{MaxConnections: 2, Logger: slog.New(slog.DiscardHandler)})
		dial := func() net.Conn {
			client, server := net.Pipe()
			socket.ends <- server
			return client
		}
		first := dial()
		accepted, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of synctest: the first has been idle for longest
		dial()
		if _, err := g.Accept(); err != nil {
			t.Fatal(err)
		}
		refused := dial()
		go func() { _, _ = g.Accept() }()
		synctest.Wait()
		if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("one too many reads %v, want the end", err)
		}
		<-time.After(idleBeforeRefusal + time.Second)
		dial()
		synctest.Wait()
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the idlest reads %v, want the end", err)
		}
		if n := g.slots.count(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		_ = accepted.Close() // a second time
		close(socket.ends)
	})
}

// pipes is a listener of connections in memory.
type pipes struct {
	net.Listener
	ends chan net.Conn
}

func (p *pipes) Accept() (net.Conn, error) {
	end, ok := <-p.ends
	if !ok {
		return nil, net.ErrClosed
	}
	return end, nil
}

// TestFetchesAreBounded: how long they wait, for how much and how much they get, in the
// request itself.
func TestFetchesAreBounded(t *testing.T) {
	for version := int16(3); version <= apis[kmsg.Fetch].highest; version++ {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(version)
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 1<<31-1, 1<<31-1, 1<<31-1, noSession
		frame := frameOf(req)
		c, err := newTestGuard().checkRequest(frame, noTime)
		if err != nil || c.answer != nil {
			t.Fatalf("version %d: %+v, %v", version, c.answer, err)
		}
		got := kmsg.NewPtrFetchRequest()
		got.SetVersion(version)
		if err := got.ReadFrom(c.body); err != nil {
			t.Fatal(err)
		}
		if got.MaxWaitMillis != maxFetchWaitMillis || got.MinBytes != maxFetchMinBytes || got.MaxBytes != maxFetchBytes {
			t.Errorf("version %d: %d ms, %d to %d bytes", version, got.MaxWaitMillis, got.MinBytes, got.MaxBytes)
		}
	}
}

// TestSessionsOfWhatDoesNotExist: none begins, and one that is there is ended for the client.
func TestSessionsOfWhatDoesNotExist(t *testing.T) {
	for epoch, wantEpoch := range map[int32]int32{0: noSession, noSession: noSession, 4: 4} {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(12)
		req.SessionID, req.SessionEpoch = 5, epoch
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = "unknown"
		topic.Partitions = append(topic.Partitions, kmsg.NewFetchRequestTopicPartition())
		req.Topics = append(req.Topics, topic)
		c, err := newTestGuard().checkRequest(frameOf(req), noTime)
		if err != nil {
			t.Fatal(err)
		}
		resp, answered := c.answer.(*kmsg.FetchResponse)
		if answered != (epoch > 0) || answered && resp.ErrorCode != kerr.FetchSessionIDNotFound.Code {
			t.Errorf("epoch %d is answered with %+v", epoch, c.answer)
		}
		got := kmsg.NewPtrFetchRequest()
		got.SetVersion(12)
		if err := got.ReadFrom(c.body); err != nil || got.SessionEpoch != wantEpoch {
			t.Errorf("epoch %d became %d, %v; want %d", epoch, got.SessionEpoch, err, wantEpoch)
		}
	}
}
