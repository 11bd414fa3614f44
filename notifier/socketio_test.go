package notifier_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

// caller is a Socket.IO client by either transport.
type caller struct {
	t       *testing.T
	address string // with the session's id once there is one
	ws      *websocket.Conn
	waiting []string // packets of a payload that are still to be read
}

func socketIOAddress(n *notifier.Notifier, query ...string) string {
	values := url.Values{"EIO": {"4"}}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	return "http://" + n.Addr() + "/socket.io/?" + values.Encode()
}

// callPolling opens a connection that polls.
func callPolling(t *testing.T, n *notifier.Notifier, query ...string) *caller {
	t.Helper()
	c := &caller{t: t, address: socketIOAddress(n, append(query, "transport", "polling")...)}
	var open struct {
		SID string `json:"sid"`
	}
	if text := c.receive(); json.Unmarshal([]byte(strings.TrimPrefix(text, "0")), &open) != nil || open.SID == "" {
		t.Fatalf("no open packet: %q", text)
	}
	c.address += "&sid=" + open.SID
	return c
}

// callSocket opens a connection with a WebSocket.
func callSocket(t *testing.T, n *notifier.Notifier, query ...string) *caller {
	t.Helper()
	c := &caller{t: t}
	c.connect(socketIOAddress(n, append(query, "transport", "websocket")...))
	if text := c.receive(); !strings.HasPrefix(text, `0{"sid":"`) {
		t.Fatalf("no open packet: %q", text)
	}
	return c
}

func (c *caller) connect(address string) {
	c.t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(address, "http"), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { ws.Close() })
	c.ws = ws
}

// upgrade changes from polling to a WebSocket; a poll waits, as a client's does.
func (c *caller) upgrade() {
	c.t.Helper()
	polled := make(chan []string, 1)
	go func() { polled <- c.tryPoll() }()
	c.connect(strings.Replace(c.address, "transport=polling", "transport=websocket", 1))
	c.emit("2probe")
	if got := c.receive(); got != "3probe" {
		c.t.Fatalf("the probe was answered %q", got)
	}
	for _, packet := range <-polled {
		if packet != "6" {
			c.waiting = append(c.waiting, packet)
		}
	}
	c.emit("5")
}

// tryPoll is the packets of one poll; an answer that is no payload is given as
// it is, its status first.
func (c *caller) tryPoll() []string {
	res, err := http.Get(c.address)
	if err != nil {
		return []string{err.Error()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return []string{fmt.Sprintf("%d %s %v", res.StatusCode, body, err)}
	}
	return strings.Split(string(body), "\x1e")
}

// receive is the next packet.
func (c *caller) receive() string {
	c.t.Helper()
	if len(c.waiting) == 0 && c.ws == nil {
		c.waiting = c.tryPoll()
	}
	if len(c.waiting) > 0 {
		next := c.waiting[0]
		c.waiting = c.waiting[1:]
		return next
	}
	if err := c.ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	_, data, err := c.ws.ReadMessage()
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// emit sends packets.
func (c *caller) emit(packets ...string) {
	c.t.Helper()
	if c.ws != nil {
		for _, packet := range packets {
			if err := c.ws.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
				c.t.Fatal(err)
			}
		}
		return
	}
	if answer := c.post(packets...); answer != "ok" {
		c.t.Fatalf("%q was answered %s", packets, answer)
	}
}

// post is how packets are answered.
func (c *caller) post(packets ...string) string {
	c.t.Helper()
	res, err := http.Post(c.address, "text/plain;charset=UTF-8", strings.NewReader(strings.Join(packets, "\x1e")))
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(body)
}

// expect reads exactly these packets.
func (c *caller) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.receive(); got != want {
			c.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// event reads an event of that name into its first argument.
func (c *caller) event(name string) (got map[string]any) {
	c.t.Helper()
	packet := c.receive()
	data, found := strings.CutPrefix(packet, `42["`+name+`",`)
	if err := json.Unmarshal([]byte(strings.TrimSuffix(data, "]")), &got); err != nil || !found {
		c.t.Fatalf("got %.300s, want the event %s: %v", packet, name, err)
	}
	return got
}

// progress reads events of tasks with these messages.
func (c *caller) progress(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		if got := c.event("progress"); got["message"] != want || got["cursor"] == nil {
			c.t.Fatalf("got %v, want the message %q and a cursor", got, want)
		}
	}
}

// join connects to the main namespace.
func (c *caller) join(auth string) {
	c.t.Helper()
	c.emit("40" + auth)
	if got := c.receive(); !strings.HasPrefix(got, `40{"sid":"`) {
		c.t.Fatalf("connect was answered %s", got)
	}
}

// register says who it is, and reads the answer and the hello in either order.
func (c *caller) register(said string) (hello map[string]any) {
	c.t.Helper()
	c.emit(`427["register",` + said + `]`)
	acked := false
	var early []string // events may come before the answer
	for !acked || hello == nil {
		packet := c.receive()
		switch {
		case strings.HasPrefix(packet, `437[{"ok":true,"user_id":`):
			acked = true
		case strings.HasPrefix(packet, `42["hello",`):
			c.waiting = append([]string{packet}, c.waiting...)
			hello = c.event("hello")
		case hello != nil && strings.HasPrefix(packet, `42["progress",`):
			early = append(early, packet)
		default:
			c.t.Fatalf("register was answered %s", packet)
		}
	}
	c.waiting = append(early, c.waiting...)
	return hello
}

// quiet expects that nothing is under way but the answer to a ping.
func (c *caller) quiet() {
	c.t.Helper()
	c.emit(`428["ping",{"n":1}]`)
	c.expect(`42["pong",{"n":1}]`, `438[]`)
}

// eachTransport runs a test over polling and over a WebSocket.
func eachTransport(t *testing.T, test func(*testing.T, func(*testing.T, *notifier.Notifier, ...string) *caller)) {
	for name, open := range map[string]func(*testing.T, *notifier.Notifier, ...string) *caller{
		"polling": callPolling, "websocket": callSocket,
		"upgrade": func(t *testing.T, n *notifier.Notifier, query ...string) *caller {
			c := callPolling(t, n, query...)
			c.upgrade()
			return c
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// The client of the old system: it connects, registers and handles progress.
func TestSocketIO(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*testing.T, *notifier.Notifier, ...string) *caller) {
		w := newWorld(t, nil)
		ada, bob := open(t, w.Notifier), open(t, w.Notifier)
		ada.join("")
		ada.quiet()
		bob.join(`{"user_id":"bob"}`)
		if hello := bob.event("hello"); hello["recovered"] != true || hello["cursor"] == nil {
			t.Errorf("hello %v", hello)
		}
		if hello := ada.register(`{"user_id":"ada"}`); hello["recovered"] != true || hello["cursor"] == nil {
			t.Errorf("hello %v", hello)
		}
		o := w.fence(0, 1)
		o.say("bob", "t", "bob's")
		end := o.record("ada", schemas.KindState, "t", "")
		end.Value = []byte(`{"task_id":"t","user_id":"ada","kind":"state","status":"failed","step":2,"task":"echo",` +
			`"result":{"n":[1]},"error":"no \u001e luck","message":"Failed to execute task: echo"}`)
		w.produce(end)
		got := ada.event("progress")
		for name, want := range map[string]string{
			"status": `"failed"`, "step": `2`, "task": `"echo"`, "result": `{"n":[1]}`, "error": `"no \u001e luck"`,
			"message": `"Failed to execute task: echo"`,
		} {
			if value, err := json.Marshal(got[name]); err != nil || string(value) != want {
				t.Errorf("progress has the %s %s, want %s", name, value, want)
			}
		}
		bob.progress("bob's")
		bob.quiet()
		ada.quiet()
		// It comes back to where it was.
		ada.emit("41")
		o.say("ada", "t", "meanwhile")
		again := open(t, w.Notifier)
		again.join(fmt.Sprintf(`{"user_id":"ada","since":%q}`, got["cursor"]))
		again.event("hello")
		again.progress("meanwhile")
		again.quiet()
	})
}

func TestSocketIORegisterAgain(t *testing.T) {
	w := newWorld(t, nil)
	c := callSocket(t, w.Notifier, "user_id", "ada") // said in the address
	c.join("")
	c.event("hello")
	o := w.fence(0, 1)
	o.say("ada", "t", "1")
	c.progress("1")
	c.emit(`421["register",{"user_id":"ada"}]`) // clients do at every connect event
	c.expect(`431[{"ok":true,"user_id":"ada"}]`)
	c.quiet()
	c.register(`{"user_id":"ada","since":"earliest"}`)
	c.progress("1")
	c.register(`{"user_id":"bob","task_id":"x"}`)
	o.say("bob", "y", "not asked for")
	o.say("bob", "x", "asked for")
	o.say("ada", "t", "2")
	c.progress("asked for", "2")
	c.quiet()
}

func TestSocketIORefused(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.MaxSubscriptions = 2 })
	for auth, says := range map[string]string{
		`{"user_id":""}`: "", `{"user_id":7}`: "must be an object",
		`{"user_id":"` + strings.Repeat("u", 201) + `"}`: "at most 200",
		`{"user_id":"u","since":"yesterday"}`:            "since must be",
		`{"user_id":"u","task_id":"a b"}`:                "task_id must be",
	} {
		c := callSocket(t, w.Notifier)
		if says == "" {
			c.join(auth) // it may still register
			continue
		}
		c.emit("40" + auth)
		var refused struct {
			Message string `json:"message"`
			Data    struct {
				Status int  `json:"status"`
				Final  bool `json:"final"`
			} `json:"data"`
		}
		packet := c.receive()
		if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "44")), &refused); err != nil ||
			!strings.Contains(refused.Message, says) || refused.Data.Status != statusOf(says) || !refused.Data.Final {
			t.Errorf("%.60s was answered %s", auth, packet)
		}
		c.join(`{"user_id":"u","app":"of the client's own"}`) // the next one is good
	}
	c := callSocket(t, w.Notifier)
	c.emit("40/admin,")
	c.expect(`44/admin,{"message":"Invalid namespace"}`)
	c.join("")
	for said, says := range map[string]string{
		`,{"usr_id":"u"}`: "no member", `,{"user_id":"u","sinces":"earliest"}`: "no member",
		`,{"user_id":"u","colour":"red"}`: "no member",
		``:                                "takes an object", `,7`: "takes an object", `,{"user_id":[]}`: "takes an object",
		`,{}`:                          "user_id is missing",
		`,{"user_id":"u","since":"?"}`: "since must be",
	} {
		c.emit(`420["register"` + said + `]`)
		if got := c.receive(); !strings.HasPrefix(got, `430[{"ok":false,"error":{`) || !strings.Contains(got, says) {
			t.Errorf("%s was answered %s", said, got)
		}
		c.emit(`42["register"` + said + `]`) // who asks for no answer is told as well
		if got := c.event("error"); !strings.Contains(fmt.Sprint(got["detail"]), says) ||
			got["status"] != float64(statusOf(says)) || got["final"] != true {
			t.Errorf("%s was answered %v", said, got)
		}
	}
	for _, id := range []string{".", "..", "a b"} {
		c.emit(`420["register",{"user_id":"u","task_id":"` + id + `"}]`)
		if got := c.receive(); !strings.Contains(got, "task_id must") {
			t.Errorf("task_id %q is answered %s", id, got)
		}
	}
	for _, empty := range []string{"task_id", "batch_id"} { // it would be all of them
		c.emit(`420["register",{"user_id":"u","` + empty + `":""}]`)
		if got := c.receive(); !strings.Contains(got, empty+" is empty") {
			t.Errorf("an empty %s is answered %s", empty, got)
		}
	}
	c.emit(`420["register",{"userId":"u"}]`)
	if got := c.receive(); !strings.Contains(got, `Did you mean \"user_id\"?`) {
		t.Errorf("a member that was misspelt was answered %s", got)
	}
	c.emit(`42["unheard of"]`, `421["unheard of"]`)
	if got := c.receive(); !strings.HasPrefix(got, `431[{"ok":false,`) {
		t.Errorf("an unknown event was answered %s", got)
	}
	c.register(`{"user_id":"a"}`)
	c.register(`{"user_id":"b"}`)
	c.emit(`420["register",{"user_id":"c"}]`)
	if got := c.receive(); !strings.Contains(got, `"status":429`) {
		t.Errorf("a subscription too many was answered %s", got)
	}
	c.emit("4abc")
	if got := c.receive(); !strings.Contains(got, "close 1008") {
		t.Errorf("no packet was answered %s", got)
	}
}

// A member of auth that is nearly one of a registration in its place is refused: more would be watched than was meant,
// or nothing. Members of the client's own are theirs.
func TestSocketIOAuthIsReadWithCare(t *testing.T) {
	w := newWorld(t, nil)
	for auth, says := range map[string]string{
		`{"userId":"u"}`: `Did you mean \"user_id\"?`, `{"user":"u"}`: `Did you mean \"user_id\"?`,
		`{"user_id":"u","taskId":"t-1"}`:         `Did you mean \"task_id\"?`,
		`{"user_id":"u","batch":"b"}`:            `Did you mean \"batch_id\"?`,
		`{"user_id":"u","sincee":"earliest"}`:    `Did you mean \"since\"?`,
		`{"tokn":"ey"}`:                          `Did you mean \"token\"?`,
		`{"user_id":"u","task_id":".."}`:         "must not be . or ..",
		`{"user_id":"u","userId":"u","app":"x"}`: "", // said as it should be, too
		`{"user_id":"u","colour":"red"}`:         "",
	} {
		c := callSocket(t, w.Notifier)
		c.emit("40" + auth)
		got := c.receive()
		if says == "" && !strings.HasPrefix(got, `40{"sid":`) || says != "" && (!strings.HasPrefix(got, "44{") ||
			!strings.Contains(got, says)) {
			t.Errorf("auth %s is answered %s, want %q", auth, got, says)
		}
	}
}

// What the address says counts where a registration does not say it.
func TestSocketIOAddressNarrows(t *testing.T) {
	w := newWorld(t, nil)
	for _, wrong := range []string{"..", "a b"} {
		c := callSocket(t, w.Notifier, "user_id", "u", "task_id", wrong)
		c.emit("40")
		if got := c.receive(); !strings.HasPrefix(got, "44{") || !strings.Contains(got, "task_id must") {
			t.Errorf("task_id %q in the address is answered %s", wrong, got)
		}
	}
	c := callSocket(t, w.Notifier, "user_id", "u", "task_id", "t-1")
	c.join("")
	c.event("hello")
	subs := connections(t, w.Notifier, "", http.StatusOK, "user_id", "u").Connections[0].Subscriptions
	if len(subs) != 1 || subs[0].TaskID != "t-1" {
		t.Errorf("the address' task_id is not what is watched: %+v", subs)
	}
}

func TestSocketIOOrigins(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.AllowedOrigins = "https://app.example" })
	for origin, want := range map[string]int{"https://evil.example": 403, "https://app.example": 200, "null": 403} {
		r, err := http.NewRequest(http.MethodGet, socketIOAddress(w.Notifier, "transport", "polling"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if allowed := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != want || want == 200 &&
			allowed != origin {
			t.Errorf("a page of %s was answered %d, allowed %q", origin, res.StatusCode, allowed)
		}
		ws, res, err := websocket.DefaultDialer.Dial("ws"+
			strings.TrimPrefix(socketIOAddress(w.Notifier, "transport", "websocket"), "http"), r.Header)
		if err == nil {
			ws.Close()
		}
		if (err == nil) != (want == 200) || res == nil || want == 403 && res.StatusCode != want {
			t.Errorf("a WebSocket of a page of %s: %v", origin, err)
		}
	}
}

// What is binary in a ping does not come back, and no placeholder for it does.
func TestSocketIOBinaryPing(t *testing.T) {
	w := newWorld(t, nil)
	c := callSocket(t, w.Notifier)
	c.join("")
	c.emit(`451-8["ping",{"_placeholder":true,"num":0},{"n":1}]`)
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	c.expect(`42["pong"]`, `438[]`)
	c.quiet()
}

func TestSocketIOSlowClient(t *testing.T) {
	w := newWorld(t, nil)
	neighbour := watch(t, w.Notifier, "user_id", "ada")
	slow := callSocket(t, w.Notifier)
	slow.join(`{"user_id":"ada"}`)
	cursor := fmt.Sprint(slow.event("hello")["cursor"])
	o := w.fence(0, 1)
	text := strings.Repeat("x", 500<<10)
	for i := range 60 {
		o.say("ada", "t", fmt.Sprint(i, text))
		neighbour.expect(fmt.Sprint(i, text))
	}
	next := 0
	for packet := slow.receive(); strings.HasPrefix(packet, `42["progress",`); packet = slow.receive() {
		var event said
		if err := json.Unmarshal([]byte(packet[len(`42["progress",`):len(packet)-1]), &event); err != nil ||
			!strings.HasPrefix(event.Message, fmt.Sprint(next, "x")) {
			t.Fatalf("got %.20s after %d events: %v", event.Message, next, err)
		}
		cursor = event.Cursor
		next++
	}
	if next == 60 {
		t.Fatal("a client that did not read got everything")
	}
	if metric(t, w.Notifier, `tasklane_notifier_closed_total{code="4008"}`) != "1" {
		t.Error("the close is not counted")
	}
	again := callPolling(t, w.Notifier)
	again.join(fmt.Sprintf(`{"user_id":"ada","since":%q}`, cursor))
	again.event("hello")
	for ; next < 60; next++ {
		again.progress(fmt.Sprint(next, text))
	}
}

func TestSocketIOShutdown(t *testing.T) {
	w := newWorld(t, nil)
	ws, nobody := callSocket(t, w.Notifier), callSocket(t, w.Notifier)
	ws.join(`{"user_id":"ada"}`)
	ws.event("hello")
	nobody.join("")
	idle := callPolling(t, w.Notifier) // which must not hold up the end
	idle.join("")
	w.stop()
	if got := ws.event("closing"); got["code"] != 1001.0 || !strings.Contains(fmt.Sprint(got["reason"]), "last cursor") {
		t.Errorf("the last event is %v", got)
	}
	for _, c := range []*caller{ws, nobody} {
		if got := c.receive(); !strings.Contains(got, "close 1001") {
			t.Errorf("the WebSocket ends with %s", got)
		}
	}
}

// statusOf is the status of a problem with what a client says of itself.
func statusOf(says string) int {
	if strings.Contains(says, "an object") {
		return http.StatusBadRequest
	}
	return http.StatusUnprocessableEntity
}
