package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// ghostSession is the session timeout of the members: short, and still more than
// a busy machine stands still.
const ghostSession = 2 * time.Second

// member speaks the group protocol by hand.
type member struct {
	t    *testing.T
	ctx  context.Context
	cl   *kgo.Client
	join *kmsg.JoinGroupRequest
	last *kmsg.JoinGroupResponse // to the last JoinGroup that was answered
}

func newMember(t *testing.T, addr string) *member {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = "ghost", "consumer"
	req.SessionTimeoutMillis = int32(ghostSession.Milliseconds())
	req.RebalanceTimeoutMillis = 60_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	req.Protocols = append(req.Protocols, p)
	return &member{t: t, ctx: ctx, cl: kafkatest.Client(t, addr), join: req}
}

// newPair returns a member that has begun a group and one that has not joined.
func newPair(t *testing.T, addr string) (first, second *member) {
	t.Helper()
	first, second = newMember(t, addr), newMember(t, addr)
	first.enter()
	mustStart(t, first)
	return first, second
}

// rejoin sends a JoinGroup and returns when it is answered.
func (m *member) rejoin() error {
	resp, err := m.join.RequestWith(m.ctx, m.cl)
	if err != nil {
		return fmt.Errorf("send JoinGroup: %w", err)
	}
	m.last, m.join.MemberID = resp, resp.MemberID
	return kerr.ErrorForCode(resp.ErrorCode)
}

// enter gets a member id, without which nobody may join.
func (m *member) enter() {
	m.t.Helper()
	if err := m.rejoin(); !errors.Is(err, kerr.MemberIDRequired) {
		m.t.Fatalf("first join: %v, want %v", err, kerr.MemberIDRequired)
	}
}

func (m *member) syncRequest() *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID = "ghost", m.last.Generation, m.last.MemberID
	return req
}

func (m *member) sync() error {
	resp, err := m.syncRequest().RequestWith(m.ctx, m.cl)
	if err != nil {
		return fmt.Errorf("send SyncGroup: %w", err)
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

func (m *member) heartbeat() error {
	m.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID = "ghost", m.last.Generation, m.last.MemberID
	resp, err := req.RequestWith(m.ctx, m.cl)
	if err != nil {
		m.t.Fatal(err)
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// beatUntil sends heartbeats, often enough not to be expelled, until one is
// answered with want.
func (m *member) beatUntil(want error) {
	m.t.Helper()
	for {
		err := m.heartbeat()
		if errors.Is(err, want) {
			return
		}
		if err != nil {
			m.t.Fatalf("heartbeat: %v, want %v", err, want)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// members returns the ids of the last generation that m leads.
func (m *member) members() []string {
	var ids []string
	for _, member := range m.last.Members {
		ids = append(ids, member.MemberID)
	}
	return slices.Sorted(slices.Values(ids))
}

// dieWaiting sends a request on a connection of its own, ends that when held
// has returned, and returns when the broker has seen the end.
func dieWaiting(t *testing.T, addr string, frame []byte, held func()) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	held()
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || len(answer) > 0 {
		t.Fatalf("got %d bytes of an answer and %v, want the end only", len(answer), err)
	}
}

// TestMemberThatDiesJoiningIsExpelled: its session timeout applies, although
// its JoinGroup could not be answered, whichever way it came to be a member.
func TestMemberThatDiesJoiningIsExpelled(t *testing.T) {
	t.Parallel()
	instance := "static"
	for _, tt := range []struct {
		name     string
		version  int16
		known    bool // it has got a member id before
		instance *string
	}{
		{name: "with a member id", version: 9, known: true},
		{name: "before member ids were required", version: 3},
		{name: "static", version: 9, instance: &instance},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
			first, ghost := newPair(t, addr)
			ghost.join.InstanceID = tt.instance
			if tt.known {
				ghost.enter()
			}
			dieWaiting(t, addr, request(ghost.join, tt.version), func() { first.beatUntil(kerr.RebalanceInProgress) })

			joining := time.Now() // its session begins when the joins are answered
			mustStart(t, first)
			if n := len(first.last.Members); n != 2 {
				t.Fatalf("%d members, want the dead one too: its session is not over", n)
			}
			first.beatUntil(kerr.RebalanceInProgress)
			if waited := time.Since(joining); waited < ghostSession/2 {
				t.Errorf("it was expelled after %v, want about its session timeout of %v", waited, ghostSession)
			}
			mustStart(t, first)
			if n := len(first.last.Members); n != 1 {
				t.Errorf("%d members, want the living one", n)
			}
		})
	}
}

// TestMemberThatDiesSyncingIsExpelled: its timer runs since it joined. This
// holds without the guard, which therefore looks at JoinGroup only.
func TestMemberThatDiesSyncingIsExpelled(t *testing.T) {
	t.Parallel()
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	first, ghost := newPair(t, addr)
	ghost.enter()
	joinTogether(t, first, ghost)
	dieWaiting(t, addr, request(ghost.syncRequest(), 5), func() {})
	if err := first.sync(); err != nil {
		t.Fatal(err)
	}
	first.beatUntil(kerr.RebalanceInProgress)
	mustStart(t, first)
	if n := len(first.last.Members); n != 1 {
		t.Errorf("%d members, want the living one", n)
	}
}

// mustStart joins and syncs.
func mustStart(t *testing.T, m *member) {
	t.Helper()
	if err := m.rejoin(); err != nil {
		t.Fatalf("join: %v", err)
	}
	if err := m.sync(); err != nil {
		t.Fatalf("sync: %v", err)
	}
}

// TestMemberThatComesBackStays: one that lost its connection while it joined
// and joins again within its session timeout is left alone.
func TestMemberThatComesBackStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		late bool // the group has gone on without it
	}{
		{name: "while the group waits"},
		{name: "after the group went on", late: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
			first, second := newPair(t, addr)
			second.enter()
			dieWaiting(t, addr, request(second.join, 9), func() { first.beatUntil(kerr.RebalanceInProgress) })

			comeBack(t, first, second, tt.late)
			want := slices.Sorted(slices.Values([]string{first.last.MemberID, second.last.MemberID}))
			if got := first.members(); !slices.Equal(got, want) {
				t.Fatalf("members %v, want %v", got, want)
			}
			for start := time.Now(); time.Since(start) < 2*ghostSession; {
				for _, m := range []*member{first, second} {
					if err := m.heartbeat(); err != nil {
						t.Fatalf("heartbeat after %v: %v", time.Since(start), err)
					}
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
}

// comeBack lets second join again and first rejoin, in this order or, late, the
// other way round.
func comeBack(t *testing.T, first, second *member, late bool) {
	t.Helper()
	if late {
		mustStart(t, first)
		mustStart(t, second)
		return
	}
	joinTogether(t, first, second)
	mustSync(t, first, second)
}

// TestMemberThatWaitsStays: others may take longer than its session to come, as
// long as they live themselves.
func TestMemberThatWaitsStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		begin        func(first, second *member)
		wait, finish func(*member) error
	}{
		{
			name: "to join",
			begin: func(first, second *member) {
				joinTogether(t, first, second)
				mustSync(t, first, second)
				second.join.Protocols[0].Metadata = []byte("changed") // or it would not have to wait
			},
			wait: (*member).rejoin, finish: (*member).rejoin,
		},
		{
			name:  "to sync",
			begin: func(first, second *member) { joinTogether(t, first, second) },
			wait:  (*member).sync, finish: (*member).sync,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
			first, second := newPair(t, addr)
			second.enter()
			tt.begin(first, second)

			answered := make(chan error, 1)
			go func() { answered <- tt.wait(second) }()
			for start := time.Now(); time.Since(start) < 2*ghostSession; <-time.After(20 * time.Millisecond) {
				if err := first.heartbeat(); err != nil && !errors.Is(err, kerr.RebalanceInProgress) {
					t.Fatal(err)
				}
			}
			if err := tt.finish(first); err != nil {
				t.Fatal(err)
			}
			if err := <-answered; err != nil {
				t.Errorf("the answer to the member that waited: %v", err)
			}
		})
	}
}

// mustSync has the members sync, the leader first.
func mustSync(t *testing.T, members ...*member) {
	t.Helper()
	for _, m := range members {
		if err := m.sync(); err != nil {
			t.Fatal(err)
		}
	}
}

// joinTogether has second join, and first when the group asks it to.
func joinTogether(t *testing.T, first, second *member) {
	t.Helper()
	joined := make(chan error, 1)
	go func() { joined <- second.rejoin() }()
	first.beatUntil(kerr.RebalanceInProgress)
	if err := first.rejoin(); err != nil {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
}

// TestClosingDoesNotWaitForJoins: nobody will answer them.
func TestClosingDoesNotWaitForJoins(t *testing.T) {
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{})
	first, second := newPair(t, addr)
	second.enter()
	dieWaiting(t, addr, request(second.join, 9), func() { first.beatUntil(kerr.RebalanceInProgress) })
	stop()
}

// request is a request with its size, as a client sends it.
func request(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 1)
}
