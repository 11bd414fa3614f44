package proxy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/scripts/chaos/proxy"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

func newProxy(t *testing.T, brokers ...string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(t.Context(), brokers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestClientsStayBehindTheProxy: what a client learns about the cluster leads it
// back to the proxy, whatever it asks: so nothing works when that is gone.
func TestClientsStayBehindTheProxy(t *testing.T) {
	brokers := strings.Split(kafkatest.Start(t), ",")
	p := newProxy(t, brokers...)
	topic := kafkatest.Prefix(t) + "topic"
	client := kafkatest.Client(t, strings.Join(p.Addrs(), ","), kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := client.PollFetches(t.Context()).Records()
	if len(got) != 1 || string(got[0].Value) != "x" {
		t.Fatalf("got %v", got)
	}
	if err := client.CommitRecords(t.Context(), got...); err != nil {
		t.Fatal(err)
	}
	seeds, err := kadm.NewClient(client).ListBrokers(t.Context())
	if err != nil || len(seeds) != len(p.Addrs()) {
		t.Fatalf("brokers %v, %v", seeds, err)
	}
	p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := client.Ping(ctx); err == nil {
		t.Error("the client knows a way past the proxy")
	}
}

// peers are a raw client of a proxy and the broker's end of its connection.
type peers struct {
	proxy          *proxy.Proxy
	client, server net.Conn
}

func newPeers(t *testing.T) *peers {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &peers{proxy: newProxy(t, l.Addr().String())}
	if s.client, err = net.Dial("tcp", s.proxy.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	if s.server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close(); s.server.Close() })
	return s
}

// frame is a request, or the answer to one, of that correlation id.
func frame(key int16, id int32, answer bool) []byte {
	body := make([]byte, 0, 40)
	if !answer {
		body = binary.BigEndian.AppendUint16(body, uint16(key))
		body = binary.BigEndian.AppendUint16(body, 1)
	}
	body = append(binary.BigEndian.AppendUint32(body, uint32(id)), "something that is asked or said"...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// exchange sends a request and its answer and returns what came of each.
func (s *peers) exchange(t *testing.T, key int16) (request, answer []byte, err error) {
	t.Helper()
	sent := frame(key, 1, false)
	if _, err := s.client.Write(sent); err != nil {
		t.Fatal(err)
	}
	request = make([]byte, len(sent))
	n, err := io.ReadFull(s.server, request)
	if request = request[:n]; err != nil {
		return request, nil, err
	}
	said := frame(key, 1, true)
	if _, err := s.server.Write(said); err != nil {
		t.Fatal(err)
	}
	answer = make([]byte, len(said))
	n, err = io.ReadFull(s.client, answer)
	return request, answer[:n], err
}

// to does one thing to requests or to answers.
func to(answer bool, action proxy.Action) proxy.Faults {
	return func(f proxy.Frame) (proxy.Action, time.Duration) {
		if f.Answer == answer {
			return action, 0
		}
		return proxy.Pass, 0
	}
}

func TestActions(t *testing.T) {
	whole, said := len(frame(0, 1, false)), len(frame(0, 1, true))
	for name, c := range map[string]struct {
		faults          proxy.Faults
		request, answer int // bytes that arrive
		err             error
	}{
		"none":               {nil, whole, said, nil},
		"pass":               {to(true, proxy.Pass), whole, said, nil},
		"break a request":    {to(false, proxy.Break), 0, 0, io.EOF},
		"break an answer":    {to(true, proxy.Break), whole, 0, io.EOF},
		"cut a request":      {to(false, proxy.Cut), whole / 2, 0, io.ErrUnexpectedEOF},
		"cut an answer":      {to(true, proxy.Cut), whole, said / 2, io.ErrUnexpectedEOF},
		"reset by an answer": {to(true, proxy.Reset), whole, 0, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPeers(t)
			s.proxy.Set(c.faults)
			request, answer, err := s.exchange(t, proxy.Produce)
			if len(request) != c.request || len(answer) != c.answer || !errors.Is(err, c.err) {
				t.Errorf("%d bytes of the request and %d of the answer arrived, %v; want %d, %d, %v",
					len(request), len(answer), err, c.request, c.answer, c.err)
			}
			done := 0
			for _, n := range s.proxy.Stats().Done {
				done += n
			}
			if want := map[bool]int{true: 1}[c.err != nil]; done != want {
				t.Errorf("%d frames were touched, want %d", done, want)
			}
		})
	}
}

// TestDropped: a request that disappears leaves the connection to others.
func TestDropped(t *testing.T) {
	s := newPeers(t)
	s.proxy.Set(func(f proxy.Frame) (proxy.Action, time.Duration) {
		if f.Key == proxy.Heartbeat {
			return proxy.Drop, 0
		}
		return proxy.Pass, 0
	})
	if _, err := s.client.Write(frame(proxy.Heartbeat, 7, false)); err != nil {
		t.Fatal(err)
	}
	request, _, err := s.exchange(t, proxy.Fetch)
	if err != nil || int16(binary.BigEndian.Uint16(request[4:])) != proxy.Fetch {
		t.Errorf("request %x, %v", request, err)
	}
	if s.proxy.Waiting(proxy.Heartbeat, 0) != 1 || s.proxy.Waiting(proxy.Fetch, 0) != 0 ||
		s.proxy.Waiting(proxy.Heartbeat, time.Hour) != 0 {
		t.Error("the heartbeat alone should wait for its answer")
	}
	if n := s.proxy.Stats().Done[proxy.Done{Frame: proxy.Frame{Key: proxy.Heartbeat}, Action: proxy.Drop}]; n != 1 {
		t.Errorf("%d heartbeats were dropped", n)
	}
}

func TestDelayed(t *testing.T) {
	s := newPeers(t)
	s.proxy.Set(func(proxy.Frame) (proxy.Action, time.Duration) { return proxy.Pass, time.Millisecond })
	start := time.Now()
	if _, _, err := s.exchange(t, proxy.Produce); err != nil || time.Since(start) < 2*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if n := s.proxy.Stats().Delayed; n != 2 {
		t.Errorf("%d frames were late", n)
	}
}

// TestLost: requests that a broker takes into its grave are counted.
func TestLost(t *testing.T) {
	s := newPeers(t)
	if _, err := s.client.Write(frame(proxy.Produce, 1, false)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s.server, make([]byte, len(frame(proxy.Produce, 1, false)))); err != nil {
		t.Fatal(err)
	}
	s.server.Close()
	if n, err := s.client.Read(make([]byte, 1)); err == nil {
		t.Fatalf("%d bytes were read", n)
	}
	s.proxy.Close() // waits for the books to be kept
	if n := s.proxy.Stats().Lost[proxy.Produce]; n != 1 {
		t.Errorf("%d lost produce requests", n)
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := newProxy(t, l.Addr().String())
	client, err := net.Dial("tcp", p.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if n, err := client.Read(make([]byte, 1)); err == nil {
		t.Fatalf("%d bytes were read", n)
	}
	p.Close()
	if n := p.Stats().Refused; n != 1 {
		t.Errorf("%d connections were refused", n)
	}
}

// TestNonsense: what is not Kafka ends its own connection.
func TestNonsense(t *testing.T) {
	for name, text := range map[string]string{"too long": "\xff\xff\xff\xff", "too short": "\x00\x00\x00\x01x",
		"no header": "\x00\x00\x00\x04abcd"} {
		s := newPeers(t)
		if _, err := s.client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if n, err := s.client.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: %d bytes were read", name, n)
		}
	}
}
