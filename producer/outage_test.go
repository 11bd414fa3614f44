package producer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/schemas"
)

// valve is a network that can be shut: connections stay open and nothing gets
// through, as with a broker that hangs.
type valve struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open, closed when it opens again
}

func (v *valve) set(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case shut && v.shut == nil:
		v.shut = make(chan struct{})
	case !shut && v.shut != nil:
		close(v.shut)
		v.shut = nil
	}
}

func (v *valve) pass() {
	v.mu.Lock()
	shut := v.shut
	v.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

type valveConn struct {
	net.Conn
	valve *valve
}

func (c valveConn) Write(b []byte) (int, error) {
	c.valve.pass()
	return c.Conn.Write(b)
}

func (v *valve) dial(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return valveConn{conn, v}, nil
}

// dialSilent is dial for a broker that is stopped: it takes what is sent, and its answers come when it goes on.
func (v *valve) dialSilent(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return silentConn{conn, v}, nil
}

type silentConn struct {
	net.Conn
	valve *valve
}

func (c silentConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		c.valve.pass()
	}
	return n, err
}

// frozen is long enough for a stuck broker to be noticed. A machine may stand still for longer: what is to be written
// while the broker answers, is sent until it is acknowledged in time. What is not leaves the API without a broker for
// a moment, in which it takes nothing.
const frozen = 200 * time.Millisecond

func written(t *testing.T, send func() producertest.Reply) {
	t.Helper()
	for within := bounded(t); ; {
		r := send()
		if r.Code/100 == 2 {
			return
		}
		if r.Code != 503 {
			r.Expect(t, 504)
		}
		must(t, within.Err())
	}
}

// unanswered is what is said of something that is sent while the broker is stuck and that has not been noticed yet.
// It may be noticed at any moment: then it is sent again.
func unanswered(t *testing.T, w *world, send func() producertest.Reply) producertest.Reply {
	t.Helper()
	for within := bounded(t); ; {
		w.Role.SetReachable(true)
		r := send()
		if r.Code != 503 {
			return r.Expect(t, 504, "outcome unknown")
		}
		must(t, within.Err())
	}
}

func TestBrokerHangs(t *testing.T) {
	var v valve
	w := newWorld(t, func(c *producer.Config) {
		c.Kafka.Dialer = v.dial
		c.ProduceTimeout = frozen
	})
	defer v.set(false)
	written(t, func() producertest.Reply { return w.Post(task(`"task_id":"t0"`)) })
	v.set(true)
	unanswered(t, w, func() producertest.Reply { return w.Post(task(`"task_id":"t1"`)) }).Expect(t, 504, `"task_id":"t1"`)
	r := w.Post(task(`"task_id":"t2"`)).Expect(t, 503) // what waits for the broker is answered 504
	if r.Header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come back")
	}
	w.Get("/readyz").Expect(t, 503, "broker")
	w.Get("/v1/tasks/t0").Expect(t, 200) // what is known stays known
	v.set(false)
	for w.Get("/readyz").Code != 200 {
		must(t, bounded(t).Err())
	}
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Event("t1", schemas.Completed, `1`)
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200)
}

// While the broker is silent nobody hears of processors. That is no reason to say that there are none, neither then
// nor when it answers again and they have yet to give a sign.
func TestASilentBrokerSaysNothingOfProcessors(t *testing.T) {
	var v valve
	w := newWorld(t, func(c *producer.Config) {
		c.Kafka.Dialer = v.dialSilent
		c.SilentAfter = 5 * time.Second
	})
	defer v.set(false)
	ctx := bounded(t)
	w.Post(task(`"task_id":"t0"`)).Expect(t, 202)
	processors := func(n string) bool {
		must(t, ctx.Err())
		return strings.Contains(string(w.Get("/metrics").Raw), `tasklane_lane_processors{lane="fast"} `+n)
	}
	for !processors("1") { // a sign that is seen too late is none
		w.Append("fast/0", 0, schemas.Event{Kind: schemas.KindMark, Worker: "worker-1", Time: schemas.AtTime(time.Now())})
	}
	v.set(true)
	for !processors("0") {
	}
	if said := w.Get("/v1/tasks/t0").Expect(t, 200).Text("warning"); said != "" {
		t.Errorf("while the broker is silent: %s", said)
	}
	v.set(false)
	for w.Get("/readyz").Code != 200 {
		must(t, ctx.Err())
	}
	if said := w.Get("/v1/tasks/t0").Expect(t, 200).Text("warning"); said != "" {
		t.Errorf("when the broker answers again: %s", said)
	}
	for w.Get("/v1/tasks/t0").Expect(t, 200).Text("warning") == "" { // nobody gives a sign
		must(t, ctx.Err())
	}
}

// Bodies that never end take nothing from others, neither room in the gate nor
// the time of a stop.
func TestSlowBodies(t *testing.T) {
	w := newWorld(t, func(c *producer.Config) { c.MaxInFlight = 4 })
	for i := range 60 {
		conn, err := new(net.Dialer).DialContext(bounded(t), "tcp", w.Role.Addr())
		must(t, err)
		defer func() { _ = conn.Close() }()
		length := "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"lan\r\n"
		if i%2 == 1 {
			length = "Content-Length: 1000000\r\n\r\n{\"lan"
		}
		_, err = io.WriteString(conn, "POST /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"+
			length)
		must(t, err)
	}
	for range 8 {
		w.Post(task("")).Expect(t, 202)
	}
	started := time.Now()
	w.Stop()
	if took := time.Since(started); took > w.Config.DrainTimeout/2 {
		t.Errorf("the stop took %s", took)
	}
}

func TestControlsWhileTheBrokerHangs(t *testing.T) {
	var v valve
	w := newWorld(t, func(c *producer.Config) {
		c.Kafka.Dialer = v.dial
		c.ProduceTimeout = frozen
	})
	defer v.set(false)
	pause := `{"kind":"pause","target":{"type":"lane","lane":"fast"}}`
	written(t, func() producertest.Reply { return w.Do("POST", "/v1/controls", pause) })
	v.set(true)
	unanswered(t, w, func() producertest.Reply { return w.Do("DELETE", "/v1/controls/pause/lane/fast", "") })
	w.Role.SetReachable(false)
	w.Do("POST", "/v1/controls", pause).Expect(t, 503, "nothing was written")
	w.Get("/v1/controls").Expect(t, 200, "pause/lane/fast")
	v.set(false)
	for w.Do("POST", "/v1/controls", `{"kind":"resume","target":{"type":"lane","lane":"fast"}}`).Code != 200 {
		must(t, bounded(t).Err())
	}
	w.Get("/v1/controls").Expect(t, 200, `{"controls":[]}`)
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*producer.Config){
		"no lanes":   func(c *producer.Config) { c.Lanes = nil },
		"no broker":  func(c *producer.Config) { c.Kafka.Brokers = nil },
		"address":    func(c *producer.Config) { c.Addr = "8080" },
		"port":       func(c *producer.Config) { c.Addr = "127.0.0.1:http" },
		"exposed":    func(c *producer.Config) { c.Addr = "0.0.0.0:0" },
		"origins":    func(c *producer.Config) { c.AllowedOrigins = "not an origin" },
		"timeout":    func(c *producer.Config) { c.ProduceTimeout = -1 },
		"view bound": func(c *producer.Config) { c.Retention = -1 },
	} {
		c := producer.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}}
		change(&c)
		if _, err := producer.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Where a processor runs in the same process, the API's readiness shows that it
// has come to a halt.
func TestReadinessShowsTheNeighbours(t *testing.T) {
	var halted atomic.Pointer[string]
	w := newWorld(t, func(c *producer.Config) {
		c.Health = append(c.Health, func() error {
			if why := halted.Load(); why != nil {
				return errors.New(*why)
			}
			return nil
		})
	})
	w.Get("/readyz").Expect(t, 200)
	why := "lane fast has started none for 1m0s"
	halted.Store(&why)
	w.Get("/readyz").Expect(t, 503, why)
	halted.Store(nil)
	w.Get("/readyz").Expect(t, 200)
}

// A port that another process has is said with what to change, and Run leaves nothing behind.
func TestPortIsTaken(t *testing.T) {
	w := newWorld(t)
	taken := w.Config
	taken.Addr = w.Role.Addr()
	p, err := producer.New(taken)
	must(t, err)
	if err := p.Run(bounded(t)); err == nil || !strings.Contains(err.Error(), "choose another address with --api-addr") {
		t.Errorf("run on a port that is taken: %v", err)
	}
	if p.Addr() != "" {
		t.Errorf("it listens on %s", p.Addr())
	}
	select {
	case <-p.Ready():
		t.Error("it is ready")
	default:
	}
	w.Get("/readyz").Expect(t, 200)
}

// A call of a tool is refused at once while no broker answers, with a status and a time to come back; what is known
// of the tools is told all the same.
func TestToolsWhileNoBrokerAnswers(t *testing.T) {
	w := newWorld(t)
	p, err := definitions.NewPublisher(definitions.PublisherConfig{
		Kafka: w.Config.Kafka, Topics: w.Config.Topics, Worker: "w1", Lanes: []string{"fast"},
		Services: []definitions.Service{{Mode: "chat", Name: "assistant", Tasks: []definitions.Task{{Name: "answer"}}}},
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); must(t, <-done) }()
	ask := func(method string) producertest.Reply {
		return w.Do("POST", "/mcp",
			`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"name":"chat-assistant-answer"}}`)
	}
	for within := bounded(t); !strings.Contains(string(ask("tools/list").Raw), "chat-assistant-answer"); {
		must(t, within.Err())
	}
	w.Role.SetReachable(false)
	r := ask("tools/call").Expect(t, 503, "no broker answers", "nothing was submitted", `"id":1`, `"retry_after_s":1`)
	if r.Header.Get("Retry-After") == "" {
		t.Errorf("headers %v", r.Header)
	}
	ask("tools/list").Expect(t, 200, "chat-assistant-answer")
}
