package producer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/kafka"
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

// frozen is long enough for a stuck broker to be noticed.
const frozen = 200 * time.Millisecond

func TestBrokerHangs(t *testing.T) {
	var v valve
	w := newWorld(t, func(c *Config) {
		c.Kafka.Dialer = v.dial
		c.ProduceTimeout = frozen
	})
	defer v.set(false)
	w.post(task(`"task_id":"t0"`)).expect(t, 202)
	v.set(true)
	w.p.lanes.reachable.Store(true)
	w.post(task(`"task_id":"t1"`)).expect(t, 504, "outcome unknown", `"task_id":"t1"`)
	started := time.Now()
	r := w.post(task(`"task_id":"t2"`)).expect(t, 503)
	if r.header.Get("Retry-After") == "" || time.Since(started) > time.Second {
		t.Errorf("refused after %s, retry after %q", time.Since(started), r.header.Get("Retry-After"))
	}
	w.get("/readyz").expect(t, 503, "broker")
	w.get("/v1/tasks/t0").expect(t, 200) // what is known stays known
	v.set(false)
	for w.get("/readyz").code != 200 {
		must(t, bounded(t).Err())
	}
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.event("t1", schemas.Completed, `1`)
	w.get("/v1/tasks/t1/result?wait=10s").expect(t, 200)
}

func TestTooManyInFlight(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight = 1 })
	leave, ok := w.p.gate.enter(1)
	if !ok {
		t.Fatal("no room")
	}
	r := w.post(task("")).expect(t, 503, "too many")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	leave()
	w.post(task("")).expect(t, 202)
}

func TestPanicIsAProblem(t *testing.T) {
	p, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}})
	must(t, err)
	routes := p.routes()
	routes.GET("/panic", func(*gin.Context) { panic("oh") })
	rec := httptest.NewRecorder()
	routes.ServeHTTP(rec, httptest.NewRequestWithContext(bounded(t), http.MethodGet, "/panic", nil))
	if body, _ := io.ReadAll(rec.Body); rec.Code != 500 || rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", rec.Code, body)
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no lanes":   func(c *Config) { c.Lanes = nil },
		"no broker":  func(c *Config) { c.Kafka.Brokers = nil },
		"address":    func(c *Config) { c.Addr = "8080" },
		"port":       func(c *Config) { c.Addr = "127.0.0.1:http" },
		"exposed":    func(c *Config) { c.Addr = "0.0.0.0:0" },
		"origins":    func(c *Config) { c.AllowedOrigins = "not an origin" },
		"timeout":    func(c *Config) { c.ProduceTimeout = -1 },
		"view bound": func(c *Config) { c.Retention = -1 },
	} {
		c := Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}}
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Where a processor runs in the same process, the API's readiness shows that it
// has come to a halt.
func TestReadinessShowsTheNeighbours(t *testing.T) {
	var halted atomic.Pointer[string]
	w := newWorld(t, func(c *Config) {
		c.Health = append(c.Health, func() error {
			if why := halted.Load(); why != nil {
				return errors.New(*why)
			}
			return nil
		})
	})
	w.get("/readyz").expect(t, 200)
	why := "lane fast has started none for 1m0s"
	halted.Store(&why)
	w.get("/readyz").expect(t, 503, why)
	halted.Store(nil)
	w.get("/readyz").expect(t, 200)
}
