package engineio_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
)

// talk is a conversation to be held: so many messages both ways, and a client that changes over to a WebSocket, or is
// cut off, after some.
type talk struct {
	seed             uint64
	down, up         int
	upgradeAt, cutAt int // messages of the server; -1 for never
	socket           bool
	buffer           int
}

// Whatever the way and the moment at which the client changes it: what is sent arrives in the order in which it was
// sent, each once. Where the client is cut off it has had the first of it without a gap.
func TestMessagesArriveInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := talk{
			seed: rapid.Uint64().Draw(rt, "seed"), down: rapid.IntRange(0, 60).Draw(rt, "down"),
			up:        rapid.IntRange(0, 40).Draw(rt, "up"),
			upgradeAt: rapid.IntRange(-1, 30).Draw(rt, "upgrade"), cutAt: rapid.IntRange(-30, 30).Draw(rt, "cut"),
			socket: rapid.Bool().Draw(rt, "socket"), buffer: rapid.SampledFrom([]int{1, 300, 64 << 10}).Draw(rt, "buffer"),
		}
		var wrong string
		inMemory(t, engineio.Config{BufferBytes: p.buffer}, func(t *testing.T, w *world) { wrong = p.hold(t, w) })
		if wrong != "" {
			rt.Fatalf("%+v: %s", p, wrong)
		}
	})
}

// numbered is a message that says its place; some are bytes.
func numbered(i int) engineio.Message {
	return engineio.Message{Data: []byte(fmt.Sprintf("%d%s", i, strings.Repeat(".", i*7%90))), Binary: i%5 == 3}
}

// told is how the client sees a message in a payload.
func told(m engineio.Message) string {
	if m.Binary {
		return "b" + base64.StdEncoding.EncodeToString(m.Data)
	}
	return "4" + string(m.Data)
}

func (p talk) hold(t *testing.T, w *world) string {
	r := rand.New(rand.NewPCG(p.seed, 1))
	var polls *engineiotest.Session
	var ws *engineiotest.Socket
	if p.socket {
		ws = w.OpenSocket(path)
	} else {
		polls = w.Open(path)
	}
	e := w.last()
	var sending sync.WaitGroup
	defer sending.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	pause := make([]time.Duration, p.down)
	for i := range pause {
		pause[i] = time.Duration(r.IntN(3)) * time.Duration(r.IntN(int(5*time.Second)))
	}
	sending.Go(func() {
		for i := range p.down {
			<-time.After(pause[i])
			if e.conn.Send(ctx, numbered(i)) != nil {
				return
			}
		}
	})
	var got []string
	said := 0
	say := func() bool {
		count := r.IntN(4)
		var parts []string
		for ; count > 0 && said < p.up; count-- {
			parts = append(parts, told(numbered(said)))
			said++
		}
		if len(parts) == 0 {
			return true
		}
		if ws == nil {
			status, _ := polls.Post(strings.Join(parts, "\x1e"))
			return status == http.StatusOK
		}
		for _, part := range parts {
			if ws.WriteMessage(websocket.TextMessage, []byte(part)) != nil {
				return false
			}
		}
		return true
	}
	for len(got) < p.down || said < p.up {
		if p.cutAt >= 0 && len(got) >= p.cutAt {
			if ws != nil {
				_ = ws.NetConn().Close()
			} else {
				e.conn.End(0, 1001, engineio.ErrShutdown)
			}
			break
		}
		if ws == nil && p.upgradeAt >= 0 && len(got) >= p.upgradeAt {
			ws = polls.Upgrade()
		}
		if !say() {
			return "the client cannot send"
		}
		if len(got) == p.down {
			continue
		}
		if ws == nil {
			status, payload := polls.Poll()
			if status != http.StatusOK {
				return fmt.Sprintf("a poll was answered %d %q", status, payload)
			}
			for _, part := range strings.Split(payload, "\x1e") {
				if part == "2" {
					polls.Says("3")
				} else {
					got = append(got, part)
				}
			}
			continue
		}
		kind, data := ws.Next()
		switch {
		case kind == websocket.BinaryMessage:
			got = append(got, "b"+base64.StdEncoding.EncodeToString([]byte(data)))
		case data == "2":
			ws.Says("3")
		default:
			got = append(got, data)
		}
	}
	stop()
	synctest.Wait()
	for i, part := range got {
		if part != told(numbered(i)) {
			return fmt.Sprintf("message %d is %q", i, part)
		}
	}
	heard := strings.Fields(strings.ReplaceAll(e.heard(), "binary ", ""))
	if len(heard) > said || len(heard) < said && p.cutAt < 0 {
		return fmt.Sprintf("%d of %d messages were heard", len(heard), said)
	}
	for i, text := range heard {
		if text != string(numbered(i).Data) {
			return fmt.Sprintf("message %d was heard as %q", i, text)
		}
	}
	return ""
}

// A client that does not answer a ping in time is given up at that moment, on either way; one that answers is not,
// however late in its time.
func TestHeartbeat(t *testing.T) {
	const interval, timeout = 10 * time.Second, 4 * time.Second
	cfg := engineio.Config{PingInterval: interval, PingTimeout: timeout, WriteTimeout: time.Second}
	for name, open := range map[string]func(*world) (next func() string, say func(string)){
		"polling": func(w *world) (func() string, func(string)) {
			k := w.Open(path)
			return func() string { _, payload := k.Poll(); return payload }, k.Says
		},
		"websocket": func(w *world) (func() string, func(string)) {
			k := w.OpenSocket(path)
			return func() string { _, data := k.Next(); return data }, k.Says
		},
		"upgraded": func(w *world) (func() string, func(string)) {
			k := w.Open(path).Upgrade()
			return func() string { _, data := k.Next(); return data }, k.Says
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, cfg, func(t *testing.T, w *world) {
				next, say := open(w)
				e, began := w.last(), time.Now()
				for range 5 {
					if got := next(); got != "2" || time.Since(began) != interval {
						t.Fatalf("got %q after %v, want a ping after %v", got, time.Since(began), interval)
					}
					<-time.After(timeout - time.Millisecond)
					say("3")
					synctest.Wait()
					began = time.Now()
				}
				say("3") // one that was not asked for wins no time
				if got := next(); got != "2" || time.Since(began) != interval {
					t.Fatalf("got %q after %v", got, time.Since(began))
				}
				if why := <-e.closed; !errors.Is(why, engineio.ErrSilent) || time.Since(began) != interval+timeout {
					t.Errorf("ended with %v after %v", why, time.Since(began))
				}
			})
		})
	}
}

// A client that is gone without a word ends its connection, whatever was under way, and nothing is left of it.
func TestClientIsCutOff(t *testing.T) {
	for name, cut := range map[string]func(t *testing.T, w *world){
		"while nothing is said": func(_ *testing.T, w *world) { _ = w.OpenSocket(path).NetConn().Close() },
		"in the middle of a frame": func(t *testing.T, w *world) {
			conn := w.OpenSocket(path).NetConn()
			if _, err := conn.Write([]byte{0x81, 0x85, 1, 2, 3, 4, 'h'}); err != nil {
				t.Error(err)
			}
			_ = conn.Close()
		},
		"while it is written to": func(t *testing.T, w *world) {
			ws := w.OpenSocket(path)
			w.last().send(t, "never read")
			synctest.Wait()
			_ = ws.NetConn().Close()
		},
		"during an upgrade": func(_ *testing.T, w *world) {
			k := w.Open(path)
			ws := k.Probed()
			_ = ws.NetConn().Close()
			synctest.Wait()
			k.Says("1") // the upgrade failed, the connection did not
		},
		"after an upgrade": func(_ *testing.T, w *world) {
			ws := w.Open(path).Upgrade()
			synctest.Wait()
			_ = ws.NetConn().Close()
		},
		"before the close frame is answered": func(_ *testing.T, w *world) {
			ws := w.OpenSocket(path)
			go w.last().conn.End(0, 1000, engineio.ErrGone)
			_, _, _ = ws.NextReader()
			_ = ws.NetConn().Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
				cut(t, w)
				if why := w.last().over(t); !errors.Is(why, engineio.ErrGone) {
					t.Errorf("ended with %v", why)
				}
				if n := w.engine.Count(engineio.WebSocket) + w.engine.Count(engineio.Polling); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// A client that stays and takes no close frame keeps the server for a moment only.
func TestClientThatDoesNotAnswerTheCloseFrame(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		ws := w.OpenSocket(path)
		began := time.Now()
		w.last().conn.End(0, 4000, errEnough)
		_ = w.last().over(t)
		w.engine.Close(0)
		if took := time.Since(began); took > time.Minute+10*time.Second {
			t.Errorf("the server waited for %v", took)
		}
		if _, err := ws.NetConn().Write([]byte{0x8A, 0x80, 0, 0, 0, 0}); err == nil {
			t.Error("the connection is still open")
		}
	})
}

// What is too big is refused by its size, in whatever pieces it comes.
func TestMessageInPiecesIsBounded(t *testing.T) {
	const most = 1000
	for name, test := range map[string]struct {
		pieces []int
		fits   bool
	}{
		"one that just fits":        {[]int{most}, true},
		"one too long":              {[]int{most + 1}, false},
		"pieces that fit together":  {[]int{1, most - 2, 1}, true},
		"pieces that do not":        {[]int{most / 2, most/2 + 1}, false},
		"many small pieces":         {slicesOf(most+1, 1), false},
		"many small pieces, enough": {slicesOf(most, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, engineio.Config{MaxPayload: most}, func(t *testing.T, w *world) {
				ws := w.OpenSocket(path)
				go func() {
					conn := ws.NetConn()
					for i, size := range test.pieces {
						if _, err := conn.Write(piece(i, len(test.pieces), size)); err != nil {
							return
						}
					}
				}()
				if test.fits {
					synctest.Wait()
					if got := len(w.last().heard()); got != most-1 {
						t.Errorf("%d bytes were heard", got)
					}
					return
				}
				if code, _ := ws.Closed(); code != websocket.CloseMessageTooBig {
					t.Errorf("closed with %d", code)
				}
				if why := w.last().over(t); !errors.Is(why, engineio.ErrTooBig) || w.last().heard() != "" {
					t.Errorf("ended with %v", why)
				}
			})
		})
	}
}

func slicesOf(count, size int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = size
	}
	return all
}

// piece is a fragment of a text message that is all fours; its mask is zero.
func piece(i, count, size int) []byte {
	frame := []byte{0, 0x80 | 126, byte(size >> 8), byte(size), 0, 0, 0, 0}
	if i == 0 {
		frame[0] = 1
	}
	if i == count-1 {
		frame[0] |= 0x80
	}
	return append(frame, strings.Repeat("4", size)...)
}

// However connections come, fail and end: no more are open than may be, and a place that is given up can be taken
// again.
func TestPlacesAreGivenBack(t *testing.T) {
	const most = 3
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"open", "socket", "refuse", "fail", "end", "leave", "cut"}),
			1, 30).Draw(rt, "steps")
		var wrong string
		inMemory(t, engineio.Config{MaxSessions: most}, func(t *testing.T, w *world) {
			var open []func()
			end := func() {
				if len(open) > 0 {
					open[0]()
					open = open[1:]
					<-time.After(time.Second) // until its place is given back
				}
			}
			for _, step := range steps {
				before := len(w.clients)
				switch step {
				case "open":
					status, _ := w.Request(http.MethodGet, path+"?EIO=4&transport=polling", "")
					if (status == http.StatusOK) != (len(open) < most) {
						wrong = fmt.Sprintf("with %d open, another is answered %d", len(open), status)
					}
					if status == http.StatusOK {
						conn := w.last().conn
						open = append(open, func() { conn.End(0, 1000, errEnough) })
					}
				case "socket":
					if len(open) < most {
						ws := w.OpenSocket(path)
						open = append(open, func() { _ = ws.NetConn().Close() })
					}
				case "refuse":
					w.accept = func(*http.Request) error { return errEnough }
					_, _ = w.Request(http.MethodGet, path+"?EIO=4&transport=polling", "")
					w.accept = nil
				case "fail": // a handshake that the library refuses
					_, _ = w.Request(http.MethodGet, path+"?EIO=4&transport=websocket", "")
				default:
					end()
				}
				synctest.Wait()
				if len(w.clients) > before+1 {
					wrong = "the application was asked twice"
				}
				if n := w.engine.Count(engineio.WebSocket) + w.engine.Count(engineio.Polling); n != len(open) && wrong == "" {
					wrong = fmt.Sprintf("after %s there are %d connections, want %d", step, n, len(open))
				}
			}
			for len(open) > 0 {
				end()
			}
			for range most {
				w.Open(path)
			}
		})
		if wrong != "" {
			rt.Fatalf("%v: %s", steps, wrong)
		}
	})
}
