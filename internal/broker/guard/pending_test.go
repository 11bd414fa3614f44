package guard

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sent encodes a request with its size, as a client sends it.
func sent(req kmsg.Request, version int16, correlation int32) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, correlation)
}

// joinGroup is a JoinGroup that passes the guard.
func joinGroup() kmsg.Request {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = "group", "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	req.Protocols = append(req.Protocols, p)
	return req
}

// answerTo is the start of an answer, which is all that is looked at.
func answerTo(correlation uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 4}, correlation)
}

func TestParked(t *testing.T) {
	heartbeat := sent(kmsg.NewPtrHeartbeatRequest(), 4, 7)
	versions := joinGroup().MaxVersion()
	for _, tt := range []struct {
		name    string
		passed  [][]byte
		answers [][]byte
		pending bool
	}{
		{name: "nothing"},
		{name: "another request", passed: [][]byte{heartbeat}},
		{name: "a join", passed: [][]byte{sent(joinGroup(), 0, 7)}, pending: true},
		{name: "a flexible join", passed: [][]byte{sent(joinGroup(), versions, 7)}, pending: true},
		{name: "an answered join", passed: [][]byte{sent(joinGroup(), 5, -7)}, answers: [][]byte{answerTo(1<<32 - 7)}},
		{name: "the answer to the request before", passed: [][]byte{sent(joinGroup(), 5, 7)}, answers: [][]byte{answerTo(6)},
			pending: true},
		{name: "an answer without a header", passed: [][]byte{sent(joinGroup(), 5, 7)}, answers: [][]byte{{0, 0, 0, 0}, nil},
			pending: true},
		{name: "a second join", passed: [][]byte{sent(joinGroup(), 5, 7), sent(joinGroup(), 5, 8)},
			answers: [][]byte{answerTo(7)}, pending: true},
		{name: "a request behind the join", passed: [][]byte{sent(joinGroup(), 5, 6), heartbeat},
			answers: [][]byte{answerTo(6)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p pending
			for _, frame := range tt.passed {
				req, err := newTestGuard().checkRequest(frame[sizeBytes:], time.Now())
				if err != nil {
					t.Fatal(err)
				}
				p.passed(frame[sizeBytes:], req.req)
			}
			for _, answer := range tt.answers {
				p.written(answer)
			}
			if got := p.answered() != nil; got != tt.pending {
				t.Errorf("a join is pending: %t, want %t", got, tt.pending)
			}
		})
	}
}

// newTestGuard is a guard without a listener.
func newTestGuard() *Guard { return New(nil, Config{Logger: slog.New(slog.DiscardHandler)}) }

// ended is a guarded connection whose client sent frame and went away. The
// channel closes when the engine learns of that. It belongs in a bubble.
func ended(t *testing.T, g *Guard, frame []byte) (*conn, <-chan struct{}) {
	t.Helper()
	client, server := net.Pipe()
	c := g.wrap(server)
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		_, _ = client.Write(frame)
		_ = client.Close()
	}()
	learned := make(chan struct{})
	go func() {
		defer close(learned)
		if n, err := io.Copy(io.Discard, c); n != int64(len(frame)) && err == nil {
			t.Errorf("the engine got %d bytes of %d", n, len(frame))
		}
	}()
	synctest.Wait()
	return c, learned
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestEndIsToldAfterTheAnswer(t *testing.T) {
	join := sent(joinGroup(), 5, 7)
	malformed := append(sent(joinGroup(), 5, 7), 0, 0, 0, 2, 0, 18, 0, 0, 0, 0, 0, 0)
	for _, tt := range []struct {
		name  string
		frame []byte
		until func(*Guard, *conn)
	}{
		{"answered", join, func(_ *Guard, c *conn) { _, _ = c.Write(answerTo(7)) }},
		{"answered after a malformed frame", malformed, func(_ *Guard, c *conn) { _, _ = c.Write(answerTo(7)) }},
		{"closed by the engine", join, func(_ *Guard, c *conn) { _ = c.Close() }},
		{"an hour", join, func(*Guard, *conn) { <-time.After(lingerAtMost + time.Second) }},
		{"too many others", join, func(g *Guard, _ *conn) {
			for range maxLingering {
				g.lingering.enter()
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newTestGuard()
				c, learned := ended(t, g, tt.frame)
				<-time.After(lingerAtMost / 2)
				if isClosed(learned) {
					t.Fatal("the engine learned of the end before it had answered")
				}
				if _, err := c.Conn.Write(nil); err == nil {
					t.Error("the connection is still open towards the client")
				}
				tt.until(g, c)
				synctest.Wait()
				if !isClosed(learned) {
					t.Error("the engine was not told of the end")
				}
			})
		})
	}
	t.Run("no join", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, learned := ended(t, newTestGuard(), sent(kmsg.NewPtrHeartbeatRequest(), 4, 7))
			if !isClosed(learned) {
				t.Error("the engine was not told at once")
			}
		})
	})
}

// TestWaiting: those are kept in their groups that have an id, a client and no
// answer yet.
func TestWaiting(t *testing.T) {
	member := groupMember{group: "group", id: "member"}
	join, sync := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest()
	join.Group, join.MemberID = member.group, member.id
	sync.Group, sync.MemberID = member.group, member.id
	nothing := func(*conn) {}
	for _, tt := range []struct {
		name string
		req  kmsg.Request
		then func(*conn)
		want bool
	}{
		{"joining", join, nothing, true},
		{"syncing", sync, nothing, true},
		{"joining without an id", joinGroup(), nothing, false},
		{"not in a group", kmsg.NewPtrMetadataRequest(), nothing, false},
		{"answered", join, func(c *conn) { c.pending.written(answerTo(7)) }, false},
		{"gone", join, func(c *conn) { c.guard.conns.remove(c) }, false},
		{"closed", join, func(c *conn) { _ = c.Close() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			g := New(nil, Config{Logger: slog.New(slog.DiscardHandler)})
			c := g.wrap(server)
			c.pending.passed(sent(tt.req, 0, 7)[sizeBytes:], tt.req)
			tt.then(c)
			got := g.conns.waiting()
			if tt.want != (len(got) == 1 && got[0] == member) || !tt.want && len(got) > 0 {
				t.Errorf("waiting: %v, want the member: %t", got, tt.want)
			}
		})
	}
}

// TestGoneIsNotWaiting: nobody sends heartbeats for the dead.
func TestGoneIsNotWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(nil, Config{Logger: slog.New(slog.DiscardHandler)})
		req := joinGroup().(*kmsg.JoinGroupRequest)
		req.MemberID = "member"
		ended(t, g, sent(req, 5, 7))
		if got := g.conns.waiting(); len(got) > 0 {
			t.Errorf("waiting: %v, want none", got)
		}
	})
}
