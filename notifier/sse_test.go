package notifier_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier"
)

// streamed is one server-sent event.
type streamed struct {
	said

	name, id string
	code     int // of a closing
}

// stream is a client of server-sent events.
type stream struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	// comments counts the lines that are there to keep the stream alive.
	comments int
	hello    streamed
	// id is the last one, which a browser would come back with.
	id string
}

// requestSSE asks for a stream. Queries are name, value, name, value; a header
// has its name before a colon.
func requestSSE(t *testing.T, n *notifier.Notifier, query ...string) *http.Response {
	t.Helper()
	values, header := url.Values{}, http.Header{}
	for i := 0; i < len(query); i += 2 {
		if name, isHeader := strings.CutSuffix(query[i], ":"); isHeader {
			header.Set(name, query[i+1])
		} else {
			values.Set(query[i], query[i+1])
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addr()+"/sse?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// openSSE opens a stream and reads the hello.
func openSSE(t *testing.T, n *notifier.Notifier, query ...string) *stream {
	t.Helper()
	k := &stream{t: t, answer: requestSSE(t, n, query...)}
	if k.answer.StatusCode != http.StatusOK || k.answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v was answered %d, %v", query, k.answer.StatusCode, k.answer.Header)
	}
	k.lines = bufio.NewScanner(k.answer.Body)
	k.lines.Buffer(nil, 4<<20)
	k.hello = k.next()
	if k.hello.name != "hello" || k.hello.Kind != "hello" || k.hello.id == "" || k.hello.id != k.hello.Cursor {
		t.Fatalf("the first event is %+v, want a hello with its cursor as id", k.hello)
	}
	return k
}

// next is the next event; retry and comments are passed over.
func (k *stream) next() streamed {
	k.t.Helper()
	e, err := k.tryNext()
	if err != nil {
		k.t.Fatalf("read event: %v", err)
	}
	return e
}

func (k *stream) tryNext() (e streamed, err error) {
	for k.lines.Scan() {
		field, value, _ := strings.Cut(k.lines.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			var code struct {
				Code int `json:"code"`
			}
			if err := errors.Join(json.Unmarshal([]byte(value), &e.said), json.Unmarshal([]byte(value), &code)); err != nil {
				return e, fmt.Errorf("%.100q: %w", value, err)
			}
			e.code = code.Code
		case ":":
			k.comments++
		case "retry":
			if after, err := strconv.Atoi(value); err != nil || after < 1000 || after > 3000 {
				return e, fmt.Errorf("retry after %q ms", value)
			}
		case "":
			if e.Kind != "" || e.Message != "" {
				if e.id != "" {
					k.id = e.id // only now: the stream may end within an event
				}
				return e, nil
			}
		default:
			return e, fmt.Errorf("no field of an event: %.100q", k.lines.Text())
		}
	}
	return e, errors.Join(errors.New("the stream has ended"), k.lines.Err())
}

// expect reads exactly these events, which have no name and a cursor as id.
func (k *stream) expect(messages ...string) {
	k.t.Helper()
	for i, want := range messages {
		if got := k.next(); got.Message != want || got.name != "" || got.id == "" || got.id != got.Cursor {
			k.t.Fatalf("event %d is %+v, want %q with its cursor as id", i, got, want)
		}
	}
}

func TestServerSentEvents(t *testing.T) {
	w := newWorld(t, nil)
	all := openSSE(t, w.Notifier, "user_id", "ada")
	one := openSSE(t, w.Notifier, "user_id", "ada", "task_id", "x")
	if h := all.answer.Header; h.Get("Cache-Control") != "no-store, no-transform" || h.Get("X-Accel-Buffering") != "no" ||
		h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v: a proxy may gather or keep it", h)
	}
	if !all.hello.Recovered {
		t.Errorf("hello %+v: nothing is missing from now", all.hello)
	}
	o := w.fence(1, 1)
	o.say("ada", "x", "x 1")
	o.say("bob", "x", "bob's")
	o.say("ada", "y", "line\none \"y\"")
	o.say("ada", "x", "x 2")
	all.expect("x 1", "line\none \"y\"", "x 2")
	one.expect("x 1", "x 2")
	if got := metric(t, w.Notifier, `tasklane_notifier_transport_connections{transport="sse"}`); got != "2" {
		t.Errorf("%s streams are counted", got)
	}
}

func TestServerSentEventsResume(t *testing.T) {
	w := newWorld(t, nil)
	first := openSSE(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	o.say("ada", "t", "1")
	o.say("ada", "t", "2")
	first.expect("1", "2")
	first.answer.Body.Close()
	o.say("ada", "t", "3")
	// A browser comes back to the same address; what it has seen counts more.
	again := openSSE(t, w.Notifier, "user_id", "ada", "since", "earliest", "Last-Event-ID:", first.id)
	again.expect("3")
	o.say("ada", "t", "4")
	again.expect("4")
	openSSE(t, w.Notifier, "user_id", "ada", "since", "earliest").expect("1", "2", "3", "4")
	openSSE(t, w.Notifier, "user_id", "ada", "since", first.id).expect("3", "4")
	// The id of the hello alone is enough to come back with.
	idle := openSSE(t, w.Notifier, "user_id", "ada")
	idle.answer.Body.Close()
	o.say("ada", "t", "5")
	openSSE(t, w.Notifier, "user_id", "ada", "Last-Event-ID:", idle.id).expect("5")
}

func TestServerSentEventsSayWhatIsLost(t *testing.T) {
	w := newWorldOn(t, newEngine(t), func(c *notifier.Config) { c.RingBytes = -1 }) // memory would still have them
	w.createTopics()
	w.Notifier, _ = w.run()
	live := openSSE(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	for i := range 5 {
		o.say("ada", "t", fmt.Sprint(i))
	}
	live.expect("0", "1", "2", "3", "4")
	w.deleteRecords(0, 4)
	old := openSSE(t, w.Notifier, "user_id", "ada", "Last-Event-ID:", cursor.Cursor{Events: []int64{2, 0, 0, 0}}.String())
	if old.hello.Recovered || !strings.Contains(old.hello.Reason, "retention") {
		t.Errorf("hello %+v, want that events are lost", old.hello)
	}
	old.expect("3", "4")
}

func TestServerSentEventsAreKeptAlive(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.PingInterval = 10 * time.Millisecond })
	k := openSSE(t, w.Notifier, "user_id", "ada")
	for k.comments < 3 && k.lines.Scan() {
		if k.lines.Text() == ":" {
			k.comments++
		}
	}
	w.fence(0, 1).say("ada", "t", "after silence")
	k.expect("after silence")
}

func TestServerSentEventsRefused(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.AllowedOrigins = "https://app.example"; c.MaxConnections = 2 })
	for _, tt := range []struct {
		query  []string
		status int
		says   string
	}{
		{nil, 422, "user_id is missing"},
		{[]string{"user_id", "u", "since", "yesterday"}, 422, "since must be"},
		{[]string{"user_id", "u", "Last-Event-ID:", "17"}, 422, "since must be"},
		{[]string{"user_id", "u", "task_id", "a b"}, 422, "task_id must be"},
		{[]string{"user_id", "u", "Origin:", "https://evil.example"}, 403, "CORS_ALLOWED_ORIGINS"},
	} {
		res := requestSSE(t, w.Notifier, tt.query...)
		var p struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		}
		if err := json.UnmarshalRead(res.Body, &p); err != nil || res.StatusCode != tt.status || p.Status != tt.status ||
			!strings.Contains(p.Detail, tt.says) {
			t.Errorf("%v was answered %d %+v, %v; want %d that says %q", tt.query, res.StatusCode, p, err, tt.status, tt.says)
		}
	}
	page := openSSE(t, w.Notifier, "user_id", "u", "Origin:", "https://app.example")
	if got := page.answer.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example" {
		t.Errorf("the page's browser is told %q", got)
	}
	openSSE(t, w.Notifier, "user_id", "u")
	postponed(t, requestSSE(t, w.Notifier, "user_id", "u"), "Try again later")
	page.answer.Body.Close() // its place is free when the server has noticed
	for deadline := time.Now().Add(patience); ; {
		if text, err := bufio.NewReader(requestSSE(t, w.Notifier, "user_id", "u").Body).ReadString('{'); err == nil &&
			strings.Contains(text, "event: hello") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place was not given back")
		}
	}
}

// postponed reads an answer that a browser comes back after: a stream that says when and
// why, and ends. Some of its decoders make an event of every block.
func postponed(t *testing.T, res *http.Response, why string) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("answered %d %v, %q, %v; a browser never comes back after that", res.StatusCode, res.Header, body, err)
	}
	form := regexp.MustCompile(`^retry: [0-9]{4,5}\nevent: closing\ndata: ` +
		`\{"kind":"closing","code":1013,"reason":"[^"]+"\}\n\n$`)
	if !form.Match(body) || !strings.Contains(string(body), why) {
		t.Errorf("the stream is %q, want one closing that says %q", body, why)
	}
}

// Naive decoders make an event of every block, and fail where it has no data.
func TestEveryBlockHasData(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.PingInterval = 5 * time.Millisecond })
	k := requestSSE(t, w.Notifier, "user_id", "ada")
	lines := bufio.NewScanner(k.Body)
	data, comments := false, 0
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "":
			if !data {
				t.Fatalf("a block without data, after %d comments", comments)
			}
			data = false
		case strings.HasPrefix(line, "data:"):
			data = true
			if strings.Contains(line, "the last") {
				return
			}
		case strings.HasPrefix(line, ":"):
			if comments++; comments == 3 {
				w.fence(0, 1).say("ada", "t", "the last")
			}
		}
	}
	t.Fatalf("the stream has ended: %v", lines.Err())
}

// Clients without a way to send a header say in the query where they were. It counts
// more than since, which is where their address began.
func TestLastEventIDInTheQuery(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	first := openSSE(t, w.Notifier, "user_id", "ada")
	o.say("ada", "t", "one")
	first.expect("one")
	o.say("ada", "t", "two")
	again := openSSE(t, w.Notifier, "user_id", "ada", "since", "now", "lastEventId", first.id)
	again.expect("two")
	openSSE(t, w.Notifier, "user_id", "ada", "since", first.id).expect("two")
	o.say("ada", "t", "three")
	openSSE(t, w.Notifier, "user_id", "ada", "lastEventId", first.id, "Last-Event-ID:", again.id).expect("three")
}

func TestServerSentEventsSlowClient(t *testing.T) {
	w := newWorld(t, nil)
	neighbour := watch(t, w.Notifier, "user_id", "ada")
	slow := openSSE(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	text := strings.Repeat("x", 500<<10)
	for i := range 60 {
		o.say("ada", "t", fmt.Sprint(i, text))
		neighbour.expect(fmt.Sprint(i, text))
	}
	next := 0
	for ; ; next++ { // it gets what was on its way, without a gap, and then the end
		e, err := slow.tryNext()
		if err != nil {
			break
		}
		if e.name == "resume" { // the same place: nothing between was left out
			if e, err := slow.tryNext(); err != nil || e.code != notifier.CloseSlow ||
				!strings.Contains(e.Reason, "last cursor") {
				t.Errorf("after where to go on comes %+v, %v", e, err)
			}
			break
		}
		if want := fmt.Sprint(next, "x"); !strings.HasPrefix(e.Message, want) {
			t.Fatalf("got %.10q, want %q", e.Message, want)
		}
	}
	if next == 60 {
		t.Fatal("a client that did not read got everything")
	}
	if metric(t, w.Notifier, `tasklane_notifier_closed_total{code="4008"}`) != "1" {
		t.Error("the close is not counted")
	}
	again := openSSE(t, w.Notifier, "user_id", "ada", "Last-Event-ID:", slow.id)
	for ; next < 60; next++ {
		again.expect(fmt.Sprint(next, text))
	}
}

func TestServerSentEventsShutdown(t *testing.T) {
	w := newWorld(t, nil)
	k := openSSE(t, w.Notifier, "user_id", "ada")
	w.stop()
	if e := k.next(); e.name != "closing" || e.code != 1001 || !strings.Contains(e.Reason, "last cursor") {
		t.Errorf("the last event is %+v", e)
	}
	if _, err := k.tryNext(); err == nil {
		t.Error("the stream goes on")
	}
}
