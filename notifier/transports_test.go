package notifier

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/notifier/history"
)

// scripted is a history that says what it is told to.
type scripted struct {
	mu       sync.Mutex
	err      error // of Err
	resolved error // of Resolve
	now      func()
	catchUp  func(context.Context, history.Subscriber) error
}

func (s *scripted) Resolve(context.Context, history.Since) (history.Start, error) {
	return history.Start{}, s.resolved
}

func (s *scripted) Now(string) (history.Start, uint64) {
	if s.now != nil {
		s.now()
	}
	return history.Start{}, 0
}

func (s *scripted) CatchUp(ctx context.Context, sub history.Subscriber, _ history.Filter, _ history.Start) error {
	return s.catchUp(ctx, sub)
}

func (s *scripted) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// memory is a notifier without a broker, on connections in memory, in a bubble of its own time.
type memory struct {
	*Notifier
	*engineiotest.Server
	history *scripted
	seq     uint64
}

// inMemory runs a test; change may adjust the configuration.
func inMemory(t *testing.T, change func(*Config), test func(*testing.T, *memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Addr: "127.0.0.1:0", Insecure: true}
		if change != nil {
			change(&cfg)
		}
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{Notifier: n, history: new(scripted)}
		n.events = m.history
		var parts sync.WaitGroup
		defer parts.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n.running = ctx
		parts.Go(func() { n.registry.beat(ctx, n.cfg.PingInterval) })
		defer n.engine.Close(0)
		defer func() {
			for _, s := range n.registry.all() {
				s.transport.kill()
			}
			n.sessions.Wait()
		}()
		m.Server = engineiotest.Serve(t, n.server().Handler)
		test(t, m)
	})
}

// say offers an event of a user.
func (m *memory) say(user, text string) {
	m.seq++
	e := &history.Event{Appended: time.Now(), TaskID: []byte("t"),
		Body: fmt.Appendf(nil, `{"task_id":"t","message":%q`, text)}
	event := eventMessage(e, cursor.Cursor{Events: []int64{int64(m.seq)}}, m.seq)
	for _, sub := range m.hub.lookup([]byte(user)) {
		m.hub.offer(sub, event)
	}
	m.hub.Flush()
}

// watch connects by WebSocket and reads the hello.
func (m *memory) watch(t *testing.T, query string) *websocket.Conn {
	t.Helper()
	ws, status := m.Dial("/ws?" + query)
	if ws == nil {
		t.Fatalf("the handshake was answered %d", status)
	}
	if _, data, err := ws.ReadMessage(); err != nil || !strings.HasPrefix(string(data), `{"kind":"hello"`) {
		t.Fatalf("the first message is %s, %v", data, err)
	}
	return ws
}

// closed reads to the end and says how the connection was closed, and what the last message was.
func closed(ws *websocket.Conn) (code int, last string, err error) {
	for {
		_, data, err := ws.ReadMessage()
		if end := (*websocket.CloseError)(nil); errors.As(err, &end) {
			return end.Code, last, nil
		}
		if err != nil {
			return 0, last, err
		}
		last = string(data)
	}
}

// ended is how many sessions have ended with a code.
func (m *memory) ended(code string) string {
	var b strings.Builder
	m.metrics.set.WritePrometheus(&b)
	for line := range strings.Lines(b.String()) {
		if value, ok := strings.CutPrefix(line, `tasklane_notifier_closed_total{code="`+code+`"} `); ok {
			return strings.TrimSpace(value)
		}
	}
	return "0"
}

func (m *memory) wantFree(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if open, sessions := m.open.Load(), len(m.registry.all()); open != 0 || sessions != 0 || len(m.hub.all()) != 0 {
		t.Errorf("%d places, %d sessions and %d subscriptions are left", open, sessions, len(m.hub.all()))
	}
}

// A client that takes nothing holds a write for its time and up to a quarter more, and nobody else.
func TestClientThatTakesNothing(t *testing.T) {
	const timeout = 8 * time.Second
	inMemory(t, func(c *Config) { c.WriteTimeout, c.PingInterval = timeout, time.Hour }, func(t *testing.T, m *memory) {
		slow, neighbour := m.watch(t, "user_id=ada"), m.watch(t, "user_id=ada")
		began := time.Now()
		for i := range 50 {
			m.say("ada", fmt.Sprint(i))
			if _, data, err := neighbour.ReadMessage(); err != nil ||
				!strings.Contains(string(data), fmt.Sprintf(`"message":"%d"`, i)) {
				t.Fatalf("the neighbour got %s, %v", data, err)
			}
			if time.Since(began) > 0 {
				t.Fatal("the neighbour waits for another")
			}
		}
		for m.ended("4008") == "0" {
			<-time.After(10 * time.Millisecond)
		}
		if took := time.Since(began); took < timeout || took > timeout*5/4+20*time.Millisecond {
			t.Errorf("it was given up after %v, want %v to %v", took, timeout, timeout*5/4)
		}
		_ = slow.Close()
		_ = neighbour.Close()
		m.wantFree(t)
	})
}

// A client that reads, but more slowly than its events come, is told where to go on: behind the last event it was sent.
func TestClientThatFallsBehind(t *testing.T) {
	inMemory(t, func(c *Config) { c.QueueBytes = 20_000 }, func(t *testing.T, m *memory) {
		ws := m.watch(t, "user_id=ada")
		big := strings.Repeat("x", 5000)
		m.say("ada", "the last that is sent")
		synctest.Wait() // it is on its way
		for range 10 {  // three wait, and then there is no room
			m.say("ada", big)
		}
		code, last, err := closed(ws)
		if err != nil || code != CloseSlow {
			t.Fatalf("closed with %d, %v", code, err)
		}
		if want := `{"kind":"resume","cursor":"` + (cursor.Cursor{Events: []int64{1}}).String() + `"}`; last != want {
			t.Errorf("the last message is %.100s, want %s", last, want)
		}
		m.wantFree(t)
	})
}

// Pings that get no answer end a connection after their time; one that answers stays however long nothing happens.
func TestPingsThatGetNoAnswer(t *testing.T) {
	const interval, timeout = 20 * time.Second, 5 * time.Second
	inMemory(t, func(c *Config) { c.PingInterval, c.PongTimeout = interval, timeout }, func(t *testing.T, m *memory) {
		polite, mute := m.watch(t, "user_id=ada"), m.watch(t, "user_id=ada")
		mute.SetPingHandler(func(string) error { return nil })
		done := make(chan string, 1)
		go func() {
			_, data, _ := polite.ReadMessage() // answers pings meanwhile
			done <- string(data)
		}()
		began := time.Now()
		if _, _, err := mute.ReadMessage(); err == nil {
			t.Error("something was sent")
		}
		if took := time.Since(began); took != interval+timeout {
			t.Errorf("it was given up after %v, want %v", took, interval+timeout)
		}
		<-time.After(time.Hour)
		m.say("ada", "still here")
		if got := <-done; !strings.Contains(got, "still here") {
			t.Errorf("who answers got %q", got)
		}
	})
}

// A client that sends nothing any more, but could still be written to, is gone.
func TestHalfClosedConnection(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, m *memory) {
		a := accept(t)
		k := &socket{n: m.Notifier, conn: a.Conn, readerDone: make(chan struct{})}
		if refused := m.enter(); refused != nil {
			t.Fatal(refused)
		}
		k.open(&admission{request: request{Filter: history.Filter{User: "ada"}}, who: identity{user: "ada"}}, nil)
		m.say("ada", "one")
		synctest.Wait()
		_ = a.client.Close()
		synctest.Wait()
		sent := len(a.wire.taken())
		m.say("ada", "two")
		synctest.Wait()
		if more := len(a.wire.taken()); sent == 0 || more != 0 {
			t.Errorf("%d writes before it was half closed, and %d after", sent, more)
		}
		m.wantFree(t)
	})
}

// The largest message that is taken has 16 KiB, in however many pieces; of a larger one the client is told.
func TestMessagesAreBounded(t *testing.T) {
	ping := func(size int) []byte {
		return fmt.Appendf(nil, `{"kind":"ping","padding":"%s"}`,
			strings.Repeat("x", size-len(`{"kind":"ping","padding":""}`)))
	}
	for name, test := range map[string]struct {
		size, pieces int
		fits         bool
	}{
		"the largest":           {readLimit, 1, true},
		"the largest in pieces": {readLimit, 100, true},
		"one byte more":         {readLimit + 1, 1, false},
		"more in pieces":        {readLimit + 1, 100, false},
		"much more":             {drainLimit - 1000, 1, false},
		"more than is read":     {drainLimit + 1000, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, nil, func(t *testing.T, m *memory) {
				ws := m.watch(t, "user_id=ada")
				go func() {
					w, err := ws.NextWriter(websocket.TextMessage)
					if err != nil {
						return
					}
					text := ping(test.size)
					for piece := max(1, len(text)/test.pieces); len(text) > 0; {
						part := text[:min(piece, len(text))]
						if _, err := w.Write(part); err != nil {
							return
						}
						text = text[len(part):]
					}
					_ = w.Close()
				}()
				if test.fits {
					if _, data, err := ws.ReadMessage(); err != nil || string(data) != `{"kind":"pong"}` {
						t.Errorf("got %s, %v", data, err)
					}
					return
				}
				if code, _, err := closed(ws); code != closeTooBig {
					t.Errorf("closed with %d, %v", code, err)
				}
				<-time.After(2 * closeGrace) // what else was sent is read past
				m.wantFree(t)
			})
		})
	}
}

// stream opens server-sent events; lines are its lines.
func (m *memory) stream(t *testing.T, query string) (lines *bufio.Scanner, end func()) {
	t.Helper()
	answer, err := m.Get(t.Context(), "/sse?"+query)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the stream was answered %+v, %v", answer, err)
	}
	return bufio.NewScanner(answer.Body), func() { _ = answer.Body.Close() }
}

// until reads lines up to one that begins so; "" if the stream ends.
func until(lines *bufio.Scanner, prefix string) string {
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lines.Text()
		}
	}
	return ""
}

// A stream is kept alive by a comment at each interval, and ends when a write of it is not taken in time.
func TestStreamsAreKeptAlive(t *testing.T) {
	const interval = 15 * time.Second
	inMemory(t, func(c *Config) { c.PingInterval, c.WriteTimeout = interval, 5*time.Second },
		func(t *testing.T, m *memory) {
			lines, end := m.stream(t, "user_id=ada")
			if until(lines, "data: ") == "" {
				t.Fatal("there is no hello")
			}
			began := time.Now()
			for i := range 4 {
				if until(lines, ":") == "" || time.Since(began) > time.Duration(i+1)*interval {
					t.Fatalf("comment %d came after %v", i, time.Since(began))
				}
			}
			m.say("ada", "hello")
			if got := until(lines, "data: "); !strings.Contains(got, "hello") {
				t.Errorf("got %q", got)
			}
			for range 100 { // more than buffers on the way take
				m.say("ada", strings.Repeat("x", 50_000))
			}
			began = time.Now()
			for len(m.registry.all()) > 0 && time.Since(began) < time.Minute {
				<-time.After(time.Second)
			}
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("a stream that is not read was given up after %v", took)
			}
			end()
			m.wantFree(t)
		})
}

// How each way is told why it ends, and whether it should come back.
func TestWhyConnectionsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(m *memory)
		code    int
		says    string
	}{
		"another log": {func(m *memory) { m.hub.LogReplaced() }, closeInternal, "another one now"},
		"the proof has ended": {func(m *memory) {
			for _, s := range m.registry.all() {
				s.identified(identity{user: "ada", expires: time.Now().Add(time.Second)})
			}
		}, CloseUnauthenticated, "expired"},
		"a stop": {func(m *memory) { m.drain(context.Background()) }, closeGoingAway, "reconnect"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, nil, func(t *testing.T, m *memory) {
				ws := m.watch(t, "user_id=ada")
				lines, end := m.stream(t, "user_id=ada")
				defer end()
				io := m.OpenSocket("/socket.io/")
				io.Says(`40{"user_id":"ada"}`)
				synctest.Wait()
				test.happens(m)
				if code, _, err := closed(ws); err != nil || code != test.code {
					t.Errorf("a WebSocket is closed with %d, %v", code, err)
				}
				if until(lines, "event: closing") == "" || !lines.Scan() ||
					!strings.Contains(lines.Text(), fmt.Sprintf(`"code":%d`, test.code)) ||
					!strings.Contains(lines.Text(), test.says) {
					t.Errorf("a stream is told %q", lines.Text())
				}
				if code, reason := io.Closed(); code != test.code || !strings.Contains(reason, test.says) {
					t.Errorf("a Socket.IO client is closed with %d %q", code, reason)
				}
				<-time.After(time.Minute)
				m.wantFree(t)
			})
		})
	}
}

// What a history cannot do is told to those who need it, in words that say whether to come back.
func TestHistoryThatFails(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		err, resolved, caught error
		code                  int
		says                  string
	}{
		"it starts":            {err: history.ErrStarting, code: closeTryLater, says: "starting"},
		"it begins anew":       {err: history.ErrReplaced, code: closeTryLater, says: "another one now"},
		"it is behind":         {resolved: history.ErrBehind, code: closeTryLater, says: "not read as far"},
		"the broker is silent": {resolved: history.ErrUnanswered, code: closeTryLater, says: "broker does not answer"},
		"a replay fails":       {caught: broken, code: closeInternal, says: "history could not be read"},
		"a replay never ends":  {caught: history.ErrSlow, code: CloseSlow, says: "slow client"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, nil, func(t *testing.T, m *memory) {
				m.history.err, m.history.resolved = test.err, test.resolved
				if test.caught != nil { // more comes while it begins than can be set aside
					m.history.now = func() { m.say("ada", "one"); m.say("ada", strings.Repeat("x", m.cfg.HoldBytes)) }
				}
				m.history.catchUp = func(context.Context, history.Subscriber) error { return test.caught }
				ws, status := m.Dial("/ws?user_id=ada")
				if ws == nil {
					t.Fatalf("answered %d", status)
				}
				var end *websocket.CloseError
				for {
					_, _, err := ws.ReadMessage()
					if err == nil {
						continue
					}
					if !errors.As(err, &end) || end.Code != test.code || !strings.Contains(end.Text, test.says) {
						t.Errorf("told %v", err)
					}
					break
				}
				<-time.After(time.Minute)
				m.wantFree(t)
			})
		})
	}
}
