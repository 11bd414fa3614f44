package notifier

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/notifier/history"
)

// newScripted is a notifier without a broker whose history answers at once.
func newScripted(t testing.TB) *Notifier {
	t.Helper()
	n, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	n.running, n.events = t.Context(), new(scripted)
	return n
}

// FuzzCommand has a client say anything: its session goes on, or ends with a code and a reason that a close frame can
// carry; and it never watches more than it may.
func FuzzCommand(f *testing.F) {
	for _, said := range []string{
		`{"kind":"ping"}`, `{"kind":"auth","token":"t"}`, `{"kind":"subscribe","id":"a","task_id":"t"}`,
		`{"kind":"unsubscribe","id":"a"}`,
		`{"kind":"subscribe","id":"a","since":"earliest"}`, `{"kind":"subscribe","id":"b","user_id":"bob"}`, `{"kind":null}`,
		`[]`, ``,
		`{"kind":"subscribe","id":"c","since":"AQAA"}`, `{"kind":"subscribe","id":"` + strings.Repeat("x", 65) + `"}`, "\xff",
	} {
		f.Add([]byte(said), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, text bool) {
		n := newScripted(t)
		k := &socket{n: n}
		k.session = newSession(t.Context(), nullTransport{}, &n.cfg, n.metrics)
		k.session.identified(identity{user: "ada"})
		defer k.session.end(closing{code: codeGone})
		kind := websocket.BinaryMessage
		if text {
			kind = websocket.TextMessage
		}
		var late *lateAdmission
		why := k.handle(kind, data, &late)
		if why.code != 0 && (why.reason == "" || len(why.short().reason) > 123 || !utf8.ValidString(why.short().reason)) {
			t.Fatalf("%q ends with %+v", data, why)
		}
		if !text && why.code != closeUnsupported {
			t.Fatalf("bytes end with %+v", why)
		}
		for _, sub := range k.session.subscriptions() {
			if sub.User != "ada" || len(sub.id) > maxNameBytes {
				t.Fatalf("%q watches %+v", data, sub.Filter)
			}
		}
	})
}

// Every event and every word of the notifier is one block of a stream, whatever is in it: a decoder gets the text and
// the cursor back.
func TestServerSentBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		type block struct{ event, id, data string }
		var want []block
		for range rapid.IntRange(1, 6).Draw(t, "messages") {
			at := cursor.Cursor{Events: []int64{rapid.Int64Range(0, 1<<40).Draw(t, "offset")}}
			message, err := jsontext.AppendQuote(nil, rapid.String().Draw(t, "message"))
			if err != nil {
				t.Fatal(err)
			}
			space := rapid.SampledFrom([]string{"", " ", "\n", "\r\n", "\n\nevent: hello\n\n", "\r\rid: x\r"}).Draw(t, "space")
			space = strings.Map(func(r rune) rune {
				if strings.ContainsRune(" \t\r\n", r) {
					return r
				}
				return ' '
			}, space)
			if rapid.Bool().Draw(t, "an event") {
				value := fmt.Sprintf(`{"task_id":"t","user_id":"u",%s"message":%s}`, space, message)
				var e history.Event
				if ok, err := e.Read([]byte("u"), []byte(value), time.Unix(1, 0)); !ok {
					t.Fatal(value, err)
				}
				it := item{message: eventMessage(&e, at, 1)}
				b = appendServerSent(b, it)
				want = append(want, block{"", at.String(), string(it.text())})
				continue
			}
			it := item{message: resume(at.String())}
			b = appendServerSent(b, it)
			want = append(want, block{"resume", at.String(), string(it.text())})
		}
		var got []block
		for text := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n\n"), "\n\n") {
			var one block
			for line := range strings.SplitSeq(text, "\n") {
				if strings.ContainsRune(line, '\r') {
					t.Fatalf("a line has another end within: %q", line)
				}
				name, value, _ := strings.Cut(line, ": ")
				switch name {
				case "event":
					one.event = value
				case "id":
					one.id = value
				case "data":
					one.data += value
				default:
					t.Fatalf("a line is %q", line)
				}
			}
			got = append(got, one)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// The hub against a map: whoever was added and not removed is found under its user, and nobody else.
func TestHubAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHub(newRegistry())
		model := make(map[string][]*subscription)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			user := fmt.Sprintf("user-%d", rapid.IntRange(0, 5).Draw(t, "user"))
			if mine := model[user]; rapid.Bool().Draw(t, "remove") && len(mine) > 0 {
				i := rapid.IntRange(0, len(mine)-1).Draw(t, "which")
				h.remove(mine[i])
				model[user] = slices.Delete(slices.Clone(mine), i, i+1)
			} else {
				sub := &subscription{Filter: history.Filter{User: user}}
				h.add(sub)
				model[user] = append(mine, sub)
			}
			if got := h.lookup([]byte(user)); !slices.Equal(got, model[user]) {
				t.Fatalf("%s has %d subscriptions, want %d", user, len(got), len(model[user]))
			}
		}
		total := 0
		for mine := range maps.Values(model) {
			total += len(mine)
		}
		if all := h.all(); len(all) != total {
			t.Fatalf("%d subscriptions, want %d", len(all), total)
		}
	})
}

// What is looked up stays as it was, however many come and go meanwhile.
func TestHubWhileOthersComeAndGo(t *testing.T) {
	h := newHub(newRegistry())
	stays := &subscription{Filter: history.Filter{User: "ada"}}
	h.add(stays)
	var going sync.WaitGroup
	for range 4 {
		going.Go(func() {
			for range 500 {
				sub := &subscription{Filter: history.Filter{User: "ada"}}
				h.add(sub)
				h.remove(sub)
			}
		})
	}
	for range 2000 {
		found := h.lookup([]byte("ada"))
		before := slices.Clone(found)
		if !slices.Contains(found, stays) || !slices.Equal(found, before) {
			t.Fatal("who stays is not found")
		}
	}
	going.Wait()
	if got := h.lookup([]byte("ada")); len(got) != 1 || got[0] != stays {
		t.Errorf("%d are left", len(got))
	}
}

// counted is a transport that counts its beats.
type counted struct {
	nullTransport
	beats atomic.Int64
}

func (c *counted) beat() { c.beats.Add(1) }

// Each session gets its beat once in each interval, spread over it, however many come and go.
func TestEverySessionGetsItsBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval, count = 16 * time.Second, 100
		n := newScripted(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all []*counted
		for range count {
			c := new(counted)
			all = append(all, c)
			n.registry.add(newSession(ctx, c, &n.cfg, n.metrics))
		}
		go n.registry.beat(ctx, interval)
		<-time.After(10*interval + interval/2)
		gone := 0
		for i, s := range n.registry.all() {
			if i%2 == 0 {
				n.registry.remove(s)
				gone++
			}
		}
		for _, c := range all {
			if beats := c.beats.Load(); beats < 10 || beats > 11 {
				t.Fatalf("%d beats in ten intervals and a half", beats)
			}
		}
		before := int64(0)
		for _, c := range all {
			before += c.beats.Load()
		}
		<-time.After(10 * interval)
		after := int64(0)
		for _, c := range all {
			after += c.beats.Load()
		}
		if left := int64(count - gone); after-before < 9*left || after-before > 11*left {
			t.Errorf("%d beats for %d sessions in ten intervals", after-before, left)
		}
		if got := len(n.registry.all()); got != count-gone {
			t.Errorf("%d sessions are left of %d", got, count-gone)
		}
	})
}

// Reasons fit a close frame: cut at a character, and never made longer.
func TestReasonsFitACloseFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := closing{code: CloseInvalid, reason: rapid.StringN(0, 200, 400).Draw(t, "reason")}
		short := c.short()
		if len(short.reason) > 123 || !utf8.ValidString(short.reason) || short.code != c.code {
			t.Fatalf("%q became %q", c.reason, short.reason)
		}
		if len(c.reason) <= 123 && short != c {
			t.Fatalf("%q was cut to %q", c.reason, short.reason)
		}
		if frame := websocket.FormatCloseMessage(short.code, short.reason); !bytes.HasSuffix(frame, []byte(short.reason)) {
			t.Fatalf("the frame is %q", frame)
		}
	})
}

// A quota lets through what it says in any stretch of its period, and no more than twice that in any period.
func TestQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q quota
		now := time.Unix(1, 0)
		var taken []time.Time
		for i := range rapid.IntRange(1, 600).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 50, 3000}).Draw(t, "ms")) * time.Millisecond)
			if q.take(now) {
				taken = append(taken, now)
			} else if i < quotaBurst {
				t.Fatalf("ask %d is refused", i)
			}
		}
		for i := range taken {
			within := 0
			for _, at := range taken[i:] {
				if at.Sub(taken[i]) < quotaPeriod {
					within++
				}
			}
			if within > 2*quotaBurst {
				t.Fatalf("%d were let through in %v", within, quotaPeriod)
			}
		}
	})
}
