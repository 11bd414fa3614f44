package remote

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// endless gives a byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// TestHostileWorkers: whatever a worker does ends its own task at most, with a reason that says what to change; its
// neighbour's goes on, and the next task is run.
func TestHostileWorkers(t *testing.T) {
	const (
		goesOn = iota // the task can still be answered
		ends          // it has ended by it
	)
	deep := `{"result":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`
	for _, c := range []struct {
		kind string
		do   func(w *world, own, other said) said
		want int // status
		says string
		then int
		err  string // of a task that has ended
	}{
		{"an id that there is not", func(w *world, _, _ said) said {
			return w.post("/v1/worker/AAAABBBBCCCCDDDDEEEEFFFFGG/result", `{"result":1}`)
		}, 404, "no attempt", goesOn, ""},
		{"the task's id for the attempt's", func(w *world, own, _ said) said {
			return w.post("/v1/worker/"+own.task(w.t).Task.TaskID+"/result", `{"result":1}`)
		}, 404, "no attempt", goesOn, ""},
		{"another's id in the message", func(w *world, own, other said) said {
			return w.post(path(own, "result"), `{"id":"`+other.id()+`","result":1}`)
		}, 400, "another attempt", goesOn, ""},
		{"two results in one request", func(w *world, own, _ said) said {
			return w.post(path(own, "messages"), "{\"type\":\"result\",\"result\":1}\n{\"type\":\"result\",\"result\":2}\n")
		}, 400, "line 2: there is a message after the last word", goesOn, ""},
		{"half a frame", func(w *world, own, _ said) said {
			return w.post(path(own, "messages"), "{\"type\":\"output\",\"text\":\"a\"}\n{\"type\":\"result\",\"res")
		}, 400, "line 2", goesOn, ""},
		{"no JSON", func(w *world, own, _ said) said { return w.post(path(own, "result"), `{'result': 1}`) },
			400, "no message", goesOn, ""},
		{"binary", func(w *world, own, _ said) said { return w.post(path(own, "messages"), "\x00\xff\xfe\x01\n\x80") },
			400, "no message", goesOn, ""},
		{"a form", func(w *world, own, _ said) said {
			return w.post(path(own, "result"), "result=1", "Content-Type", "application/x-www-form-urlencoded")
		}, 400, "no message", goesOn, ""},
		{"a depth bomb", func(w *world, own, _ said) said { return w.post(path(own, "result"), deep) },
			400, "no message", goesOn, ""},
		{"a result without one", func(w *world, own, _ said) said { return w.post(path(own, "result"), `{"output":1}`) },
			400, "result is missing", goesOn, ""},
		{"no type", func(w *world, own, _ said) said { return w.post(path(own, "messages"), `{"result":1}`) },
			400, "no type", goesOn, ""},
		{"types that there are not", func(w *world, own, _ said) said {
			return w.post(path(own, "messages"), `{"type":"shutdown"}`)
		}, 200, "", goesOn, ""},
		{"a zip bomb", func(w *world, own, _ said) said {
			return w.post(path(own, "result"), "no gzip", "Content-Encoding", "gzip")
		}, 400, "gzip", goesOn, ""},
		{"another coding", func(w *world, own, _ said) said {
			return w.post(path(own, "result"), "x", "Content-Encoding", "br")
		}, 415, "", goesOn, ""},
		{"a wrong method", func(w *world, own, _ said) said { return w.do("PUT", path(own, "result"), `{"result":1}`) },
			405, "/v1/worker/next", goesOn, ""},
		{"a wrong address", func(w *world, own, _ said) said { return w.post(path(own, "results"), `{"result":1}`) },
			404, "/v1/worker/{id}/MESSAGE", goesOn, ""},
		{"wrong members", func(w *world, own, _ said) said { return w.post(path(own, "progress"), `{"percent":"most"}`) },
			200, "", goesOn, ""},
		{"a last word with wrong members", func(w *world, own, _ said) said {
			return w.post(path(own, "error"), `{"message":[]}`)
		}, 422, "the task has ended with that", ends, "cannot be read"},
		{"1 GB that it says is", func(w *world, own, _ said) said { return w.large(path(own, "result"), 1<<30, 1<<30) },
			413, "more than 1 MiB", ends, "more than 1 MiB in one request; return less"},
		{"1 GB that it does not say is", func(w *world, own, _ said) said {
			return w.large(path(own, "messages"), 1<<30, -1)
		}, 413, "more than 1 MiB", ends, "more than 1 MiB in one request; return less"},
		{"a body that is cut", func(w *world, own, _ said) said {
			return w.bare("POST " + path(own, "result") + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{\"resu")
		}, 400, "to its end", goesOn, ""},
		{"endless posts", func(w *world, own, _ said) said {
			for range 2_000 {
				if s := w.post(path(own, "messages"), `{"type":"later"}`); s.code != 200 {
					return s
				}
			}
			return w.post(path(own, "ping"), "")
		}, 200, "", goesOn, ""},
		{"posts all at once", func(w *world, own, _ said) said { return w.flood(own) },
			429, "one after the other", goesOn, ""},
		{"a slow body", func(w *world, own, _ said) said { return w.slow(path(own, "result")) },
			408, "too slowly", goesOn, ""},
		{"a wait of a year", func(w *world, own, _ said) said { return w.post(path(own, "ping")+"?wait=8760h", "") },
			422, "duration of at most 1m", goesOn, ""},
		{"a query of its own", func(w *world, own, _ said) said { return w.post(path(own, "result")+"?user_id=x", "") },
			422, "", goesOn, ""},
		{"a long name", func(w *world, _, _ said) said {
			return w.do("GET", "/v1/worker/next?worker="+strings.Repeat("x", 201), "")
		}, 422, "at most 200", goesOn, ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.describe()
			neighbour, other := w.given(asked{id: "neighbour", user: "other"})
			running, own := w.given(asked{id: "own"})
			s := c.do(w, own, other).expect(t, c.want, c.says)
			if strings.Contains(s.body, other.id()) && !strings.Contains(c.kind, "another's id") {
				t.Errorf("it is told of its neighbour: %s", s.body)
			}
			if c.then == goesOn {
				w.post(path(own, "result"), `{"result":"own"}`).expect(t, 200)
			}
			o := <-running.done
			if c.then == goesOn && (o.err != nil || o.result != `"own"`) ||
				c.then == ends && (o.err == nil || !strings.Contains(o.err.Error(), c.err)) {
				t.Errorf("its task ends with %s, %v", o.result, o.err)
			}
			w.post(path(other, "result"), `{"result":"kept"}`).expect(t, 200)
			if o := <-neighbour.done; o.result != `"kept"` {
				t.Errorf("the neighbour ends with %+v", o)
			}
			running, own = w.given(asked{})
			w.post(path(own, "result"), `{"result":"next"}`).expect(t, 200)
			if o := <-running.done; o.result != `"next"` {
				t.Errorf("the next ends with %+v", o)
			}
			if held := w.server.held.Load(); held != 0 {
				t.Errorf("%d bytes are held", held)
			}
		})
	}
}

// large sends so many bytes, for as long as somebody reads them. length is what it says of them.
func (w *world) large(path string, size, length int64) said {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.server.Addr()+path,
		io.LimitReader(endless('x'), size))
	must(w.t, err)
	r.ContentLength = length
	r.Header.Set("Expect", "100-continue") // or the answer may be lost with the rest of the body
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		// It was refused while it was sent: what became of the task is seen there.
		return said{code: 413, body: "more than 1 MiB"}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(w.t, err)
	return said{response.StatusCode, response.Header, string(text)}
}

// bare sends a request as it is written, and says that there is no more.
func (w *world) bare(request string) said {
	w.t.Helper()
	conn := w.dial(request)
	defer func() { _ = conn.Close() }()
	must(w.t, conn.CloseWrite())
	return w.answer(conn)
}

// slow sends a body of which nothing comes after its beginning.
func (w *world) slow(path string) said {
	w.t.Helper()
	conn := w.dial("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{\"resu")
	defer func() { _ = conn.Close() }()
	return w.answer(conn)
}

// dial sends the beginning of a request.
func (w *world) dial(request string) *net.TCPConn {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", w.server.Addr())
	must(w.t, err)
	_, err = io.WriteString(conn, request)
	must(w.t, err)
	return conn.(*net.TCPConn)
}

// answer is what comes back.
func (w *world) answer(conn net.Conn) said {
	w.t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(w.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(w.t, err)
	return said{response.StatusCode, response.Header, string(text)}
}

// flood has as many requests about one attempt as there may be, and one more.
func (w *world) flood(own said) said {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	var all sync.WaitGroup
	for range maxAsking {
		all.Go(func() { _, _ = w.request(ctx, http.MethodPost, path(own, "ping")+"?wait=1m", nil) })
	}
	l := w.server.leases.find(own.id())
	asking := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asking
	}
	w.until("they wait", func() bool { return asking() == maxAsking })
	s := w.post(path(own, "result"), `{"result":1}`)
	end()
	all.Wait()
	w.until("they are gone", func() bool { return asking() == 0 })
	return s
}

// TestTwoWorkersWithOneTask: of what they say at the same time one word is the last, and the other is refused.
func TestTwoWorkersWithOneTask(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	answers := make(chan int, 4)
	var all sync.WaitGroup
	for n := range cap(answers) {
		all.Go(func() { answers <- w.post(path(given, "result"), fmt.Sprintf(`{"result":%d}`, n)).code })
	}
	all.Wait()
	close(answers)
	codes := map[int]int{}
	for code := range answers {
		codes[code]++
	}
	if codes[200] != 1 || codes[409] != cap(answers)-1 {
		t.Errorf("they are answered %v", codes)
	}
	if o := <-running.done; o.err != nil {
		t.Error(o.err)
	}
}

// TestUsersHearNothingOfWorkers: neither their names nor what they sent wrongly, nor another's task.
func TestUsersHearNothingOfWorkers(t *testing.T) {
	w := newWorld(t, ServiceConfig{Mode: "test", Name: "one", Heartbeat: MinHeartbeat})
	w.describe()
	running := w.run(asked{id: "task-7"})
	given := w.do("GET", "/v1/worker/next?worker=canary-worker&wait=1m", "").expect(t, 200)
	w.post(path(given, "result"), `canary-body`).expect(t, 400)
	o := <-running.done
	if !isLost(o.err) || strings.Contains(o.err.Error(), "canary") || strings.Contains(o.err.Error(), given.id()) ||
		!strings.Contains(o.err.Error(), "refused (Bad Request)") {
		t.Errorf("the user is told %v", o.err)
	}
	w.post(path(given, "result"), `{"result":1}`).expect(t, 410, `"reason":"lost"`, "1s")
	if log := w.log.String(); strings.Contains(log, given.id()) || strings.Contains(log, "canary-body") {
		t.Errorf("the log has what answers for a task:\n%s", log)
	}
}
