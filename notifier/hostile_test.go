package notifier_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

func TestRefusedRequests(t *testing.T) {
	w := newWorld(t, nil)
	tests := map[string]struct {
		query []string
		says  string
	}{
		"no user":        {nil, "user_id is missing"},
		"empty user":     {[]string{"user_id", ""}, "is empty"},
		"long user":      {[]string{"user_id", strings.Repeat("u", 201)}, "at most 200"},
		"user not UTF-8": {[]string{"user_id", "\xff\xfe"}, "UTF-8"},
		"bad task":       {[]string{"user_id", "u", "task_id", "a b"}, "task_id must be"},
		"empty task":     {[]string{"user_id", "u", "task_id", ""}, "leave it out"},
		"long task":      {[]string{"user_id", "u", "task_id", strings.Repeat("t", 201)}, "task_id must be"},
		"bad since":      {[]string{"user_id", "u", "since", "yesterday"}, "since must be"},
		"bad time":       {[]string{"user_id", "u", "since", "2026-13-01T00:00:00Z"}, "since must be"},
		"ancient":        {[]string{"user_id", "u", "since", "1066-10-14T00:00:00Z"}, "1970"},
		"long cursor":    {[]string{"user_id", "u", "since", strings.Repeat("A", 9000)}, "at most 8192"},
	}
	for name, tt := range tests {
		if code, reason := turnedAway(t, w.Notifier, nil, tt.query...); code != notifier.CloseInvalid ||
			!strings.Contains(reason, tt.says) {
			t.Errorf("%s: %d %q, want 4422 that says %q", name, code, reason, tt.says)
		}
	}
	res, detail := refusal(t, w.Notifier, http.Header{"Origin": {"https://evil.example"}}, "user_id", "u")
	if res.StatusCode != http.StatusForbidden || !strings.Contains(detail, "CORS_ALLOWED_ORIGINS") {
		t.Errorf("strange origin: %d %q", res.StatusCode, detail)
	}
	res, _ = refusal(t, w.Notifier, http.Header{"Host": {"evil.example"}}, "user_id", "u")
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("strange Host: %d", res.StatusCode)
	}
}

// raw sends text on a fresh connection and returns the first line of the
// answer.
func raw(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestHostileHandshakes(t *testing.T) {
	w := newWorld(t, nil)
	const host = "Host: localhost\r\n"
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	tests := []struct{ request, want string }{
		{"GET /ws?user_id=u HTTP/1.1\r\n" + host + "\r\n", "426"},
		{"POST /ws?user_id=u HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", "405"},
		{"GET /nothing HTTP/1.1\r\n" + host + "\r\n", "404"},
		{"GET /ws?user_id=u HTTP/1.1\r\n" + host + upgrade + "\r\n", "400"},
		{"GET /ws?user_id=u HTTP/1.1\r\n" + host + upgrade + "Sec-WebSocket-Version: 12\r\n" + key + "\r\n", "400"},
		{"GET /ws?user_id=u HTTP/1.1\r\n" + host + upgrade + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
			"400"},
		{"GET /ws?user_id=u&user_id=v HTTP/1.1\r\n" + host + upgrade + "Sec-WebSocket-Version: 13\r\n" + key + "\r\n", "101"},
		{"GET /ws?user_id=%zz HTTP/1.1\r\n" + host + "\r\n", "422"},
		{"GET /ws?" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n", "431"},
		{"\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"},
		{"GET /ws?user_id=u HTTP/1.1\r\n" + host + upgrade + "Sec-WebSocket-Version: 13\r\n" + key + "\r\n", "101"},
	}
	for _, tt := range tests {
		if got := raw(t, w.Addr(), tt.request); !strings.Contains(got, tt.want) {
			t.Errorf("%.80q: got %q, want %s", tt.request, got, tt.want)
		}
	}
	watch(t, w.Notifier, "user_id", "u").expectQuiet()
}

func TestWhatClientsSay(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		kind int
		text string
		code int
	}{
		{websocket.TextMessage, "not JSON", websocket.ClosePolicyViolation},
		{websocket.TextMessage, "", websocket.ClosePolicyViolation},
		{websocket.TextMessage, "[]", websocket.ClosePolicyViolation},
		{websocket.TextMessage, `{"type":"ping"}`, websocket.ClosePolicyViolation},
		{websocket.TextMessage, `{"kind":7}`, websocket.ClosePolicyViolation},
		{websocket.TextMessage, `{"kind":"ping"`, websocket.ClosePolicyViolation},
		{websocket.TextMessage, strings.Repeat(`{"kind":`, 1000), websocket.ClosePolicyViolation},
		{websocket.BinaryMessage, `{"kind":"ping"}`, websocket.CloseUnsupportedData},
		{websocket.TextMessage, `{"kind":"` + strings.Repeat("x", 17<<10) + `"}`, websocket.CloseMessageTooBig},
	}
	for _, tt := range tests {
		c := watch(t, w.Notifier, "user_id", "ada")
		if err := c.WriteMessage(tt.kind, []byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		if code, reason := c.closeCode(); code != tt.code {
			t.Errorf("after %.40q: closed with %d %q, want %d", tt.text, code, reason, tt.code)
		} else if reason == "" {
			t.Errorf("after %.40q: closed without a reason", tt.text)
		}
	}
	c := watch(t, w.Notifier, "user_id", "ada")
	for _, unknown := range []string{`{"kind":"hello"}`, `{"kind":"future","data":[1,2]}`, `{"kind":""}`} {
		c.say(unknown)
	}
	c.expectQuiet()
}

// Frames that break the protocol end their own connection only.
func TestHostileFrames(t *testing.T) {
	w := newWorld(t, nil)
	neighbour := watch(t, w.Notifier, "user_id", "ada")
	frames := map[string][]byte{
		"not masked":         {0x81, 0x02, '{', '}'},
		"reserved bits":      {0xf1, 0x80, 0, 0, 0, 0},
		"reserved opcode":    {0x83, 0x80, 0, 0, 0, 0},
		"endless length":     {0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"negative length":    {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"long ping":          {0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0},
		"lone continuation":  {0x80, 0x80, 0, 0, 0, 0},
		"bad close payload":  {0x88, 0x81, 0, 0, 0, 0, 1},
		"compressed":         {0xc1, 0x82, 0, 0, 0, 0, 1, 2},
		"cut off":            {0x81, 0x85, 0},
		"garbage":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"close without code": {0x88, 0x80, 0, 0, 0, 0},
	}
	for name, frame := range frames {
		c := watch(t, w.Notifier, "user_id", "ada")
		if _, err := c.NetConn().Write(frame); err != nil {
			t.Fatal(err)
		}
		if name == "cut off" {
			c.Close()
			continue
		}
		if _, err := c.tryNext(); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	w.fence(0, 1).say("ada", "t", "still here")
	neighbour.expect("still here")
}

func TestSlowClientAlone(t *testing.T) {
	// It is slow by its queue, however long a write takes on a busy machine.
	w := newWorld(t, func(c *notifier.Config) { c.WriteTimeout = time.Hour })
	neighbour := watch(t, w.Notifier, "user_id", "ada")
	slow := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	text := strings.Repeat("x", 500<<10)
	// More than the kernel's buffers of one connection take.
	for i := range 60 {
		o.say("ada", "t", fmt.Sprint(i, text))
		neighbour.expect(fmt.Sprint(i, text))
	}
	var before, last said
	var closed *websocket.CloseError
	for {
		m, err := slow.tryNext()
		if err == nil {
			before, last = last, m
			continue
		}
		if !errors.As(err, &closed) {
			t.Fatalf("the connection ended without a close frame: %v", err)
		}
		break
	}
	if last.Kind != "resume" || last.Cursor != before.Cursor {
		t.Errorf("the last message is %+v, want the cursor of the one before, %s", last, before.Cursor)
	}
	code, reason := closed.Code, closed.Text
	if code != notifier.CloseSlow || !strings.Contains(reason, "last cursor") {
		t.Errorf("closed with %d %q", code, reason)
	}
	if metric(t, w.Notifier, `tasklane_notifier_closed_total{code="4008"}`) != "1" {
		t.Error("the close is not counted")
	}
	// Its last cursor gives it the rest.
	again := watch(t, w.Notifier, "user_id", "ada", "since", slow.cursor)
	for {
		if m := again.next(); strings.HasPrefix(m.Message, "59x") {
			break
		}
	}
}

func TestProgressIsSuperseded(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.QueueBytes, c.RingBytes = 256<<10, -1 })
	c := watch(t, w.Notifier, "user_id", "ada")
	bob := watch(t, w.Notifier, "user_id", "bob")
	o := w.fence(0, 1)
	o.say("ada", "t", "running")
	text := strings.Repeat("p", 50<<10)
	var records []*kgo.Record
	for i := range 1000 {
		records = append(records, o.record("ada", schemas.KindProgress, "t", fmt.Sprintf("%03d %s", i, text)))
		if len(records) == 50 {
			w.produce(records...)
			records = nil
		}
	}
	o.say("ada", "t", "done")
	o.say("bob", "t", "after all that")
	bob.expect("after all that")
	var got []string
	for {
		m := c.next()
		got = append(got, m.Message[:min(4, len(m.Message))])
		if m.Message == "done" {
			break
		}
	}
	if got[0] != "runn" || len(got) < 3 || got[len(got)-2] != "999 " {
		t.Errorf("got %v, want running, some progress with the last one, done", got)
	}
	for i := 2; i < len(got)-1; i++ {
		if got[i] <= got[i-1] {
			t.Errorf("progress %s after %s", got[i], got[i-1])
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.MaxConnections = 2 })
	first := watch(t, w.Notifier, "user_id", "ada")
	watch(t, w.Notifier, "user_id", "ada")
	if code, reason := turnedAway(t, w.Notifier, nil, "user_id", "ada"); code != websocket.CloseTryAgainLater {
		t.Errorf("the third connection: %d %q", code, reason)
	}
	// Refusals take no place, and a client that leaves gives its own back.
	for range 10 {
		turnedAway(t, w.Notifier, nil, "user_id", "")
	}
	first.say(`not JSON`)
	first.closeCode()
	first.Close()
	deadline := time.Now().Add(patience)
	for {
		if c, err := dialed(t, w.Notifier, nil, "user_id", "ada"); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place was not given back")
		}
	}
}

func TestPing(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.PingInterval, c.PongTimeout = 20*time.Millisecond, 3*time.Second })
	polite := watch(t, w.Notifier, "user_id", "ada")
	pings := make(chan struct{}, 100)
	answer := polite.PingHandler()
	polite.SetPingHandler(func(data string) error {
		select {
		case pings <- struct{}{}:
		default:
		}
		return answer(data)
	})
	silent := watch(t, w.Notifier, "user_id", "ada")
	silent.SetPingHandler(func(string) error { return nil })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, err := silent.tryNext(); err != nil {
				return
			}
		}
	}()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = polite.tryNext()
	}()
	<-gone
	for range 5 {
		<-pings
	}
	w.fence(0, 1).say("ada", "t", "for who answers")
	<-heard
}

func TestShutdown(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.ShutdownTimeout, c.RingBytes = 2*time.Second, -1 })
	o := w.fence(0, 1)
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	}
	// One never reads: it must not hold the others or the end up.
	deaf := watch(t, w.Notifier, "user_id", "deaf")
	for range 30 {
		o.say("deaf", "t", strings.Repeat("x", 1<<20))
	}
	// Another reads nothing of its history, and has much of it queued.
	for range 200 {
		o.say("behind", "t", strings.Repeat("x", 100<<10))
	}
	behind := watch(t, w.Notifier, "user_id", "behind", "since", "earliest")
	untilMetric(t, w.Notifier, "tasklane_notifier_queue_bytes", func(bytes string) bool {
		n, err := strconv.ParseFloat(bytes, 64)
		return err == nil && n >= 512<<10
	})
	o.say("ada", "t", "last words")
	for _, c := range clients {
		c.expect("last words")
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop()
	}()
	for _, c := range clients {
		if code, reason := c.closeCode(); code != websocket.CloseGoingAway || !strings.Contains(reason, "last cursor") {
			t.Errorf("closed with %d %q", code, reason)
		}
	}
	<-stopped
	deaf.Close()
	behind.Close()
	if _, err := http.Get("http://" + w.Addr() + "/healthz"); err == nil {
		t.Error("the port still answers")
	}
}

func TestConfigRefused(t *testing.T) {
	good := kafka.Config{Brokers: []string{"127.0.0.1:9092"}}
	for name, cfg := range map[string]notifier.Config{
		"no brokers":   {},
		"exposed":      {Kafka: good, Addr: "0.0.0.0:8000"},
		"bad address":  {Kafka: good, Addr: "8000"},
		"bad origin":   {Kafka: good, AllowedOrigins: "example.com"},
		"bad broker":   {Kafka: kafka.Config{Brokers: []string{"nowhere"}}},
		"bad origins2": {Kafka: good, AllowedOrigins: "https://*.example.com"},
	} {
		if _, err := notifier.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n, err := notifier.New(notifier.Config{Kafka: good, Addr: taken.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "--notifier-addr") {
		t.Errorf("Run on a taken port: %v", err)
	}
}

// metric is the value of one metric as scraped, "" if it is not there.
func metric(t *testing.T, n *notifier.Notifier, name string) string {
	t.Helper()
	_, body := get(t, n, "/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func get(t *testing.T, n *notifier.Notifier, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get("http://" + n.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestHealthAndMetrics(t *testing.T) {
	w := newWorld(t, nil)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404} {
		if status, _ := get(t, w.Notifier, path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	ada := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	o.say("ada", "t", "one")
	o.say("bob", "t", "not watched")
	w.produce(o.recordAt(1, "ada", schemas.KindState, "t", "repeat"))
	o.say("ada", "t", "two")
	ada.expect("one", "two")
	ada.expectQuiet() // what was written before the pong is counted
	for name, want := range map[string]string{
		"connections": "1", "events_read_total": "5", "events_delivered_total": "2",
		"events_dropped_by_fold_total": "1", "events_unwatched_total": "1", "queue_bytes": "0",
	} {
		if got := metric(t, w.Notifier, "tasklane_notifier_"+name); got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

// With auth off a client may connect for anybody, and is told so of what it asks
// for on its connection, not of a token that there is none of.
func TestAnotherUserOfTheConnection(t *testing.T) {
	w := newWorld(t, nil)
	c := watch(t, w.Notifier, "user_id", "alice")
	c.say(`{"kind":"subscribe","id":"a","user_id":"bob"}`)
	if code, reason := c.closeCode(); code != notifier.CloseForbidden ||
		reason != "user_id is another user than the connection's." {
		t.Errorf("closed with %d %q", code, reason)
	}
}
