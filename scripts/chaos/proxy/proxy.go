package proxy

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"
)

// Proxy stands before the brokers of one cluster. Make it with New; it serves
// until Close.
type Proxy struct {
	addrs []string        // where it listens, one for each broker
	ports map[int32]int32 // of the brokers and of the proxy for them
	all   sync.WaitGroup
	stop  context.CancelFunc

	mu     sync.Mutex
	faults Faults
	stats  Stats
	links  map[*link]bool
}

// New listens on a free port for each broker.
func New(ctx context.Context, brokers []string) (*Proxy, error) {
	ctx, stop := context.WithCancel(ctx)
	p := &Proxy{ports: map[int32]int32{}, links: map[*link]bool{}, stop: stop,
		stats: Stats{Lost: map[int16]int{}, Done: map[Done]int{}}}
	listeners := map[string]net.Listener{}
	for _, broker := range brokers {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("listen for %s: %w", broker, err)
		}
		addr := l.Addr().String()
		p.addrs = append(p.addrs, addr)
		p.ports[port(broker)] = port(addr)
		context.AfterFunc(ctx, func() { l.Close() })
		listeners[broker] = l
	}
	for broker, l := range listeners {
		p.all.Go(func() { p.serve(ctx, l, broker) })
	}
	return p, nil
}

func port(addr string) int32 {
	_, text, _ := net.SplitHostPort(addr)
	n, _ := strconv.ParseInt(text, 10, 32)
	return int32(n)
}

// Addrs are the addresses for the clients.
func (p *Proxy) Addrs() []string { return p.addrs }

// Close ends every connection and waits.
func (p *Proxy) Close() {
	p.stop()
	p.mu.Lock()
	for l := range p.links {
		l.close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// Set makes faults from now on; nil makes none.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// Stats is a copy of the counts.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Lost, s.Done = maps.Clone(s.Lost), maps.Clone(s.Done)
	return s
}

// Waiting counts requests of a kind that have waited for their answer at least
// so long.
func (p *Proxy) Waiting(key int16, least time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := 0
	for l := range p.links {
		for _, r := range l.waiting {
			if r.key == key && time.Since(r.at) >= least {
				count++
			}
		}
	}
	return count
}

func (p *Proxy) serve(ctx context.Context, listener net.Listener, broker string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.connect(ctx, client, broker) })
	}
}

func (p *Proxy) connect(ctx context.Context, client net.Conn, broker string) {
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", broker)
	if err != nil {
		client.Close()
		p.count(func(s *Stats) { s.Refused++ })
		return
	}
	l := &link{proxy: p, client: client, server: server, waiting: map[int32]request{}}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	if ctx.Err() != nil {
		l.close()
	}
	l.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	for _, r := range l.waiting {
		if !l.faulty {
			p.stats.Lost[r.key]++
		}
	}
}

func (p *Proxy) count(do func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do(&p.stats)
}

// decide asks the faults about a frame.
func (p *Proxy) decide(f Frame) (Action, time.Duration) {
	p.mu.Lock()
	faults := p.faults
	p.mu.Unlock()
	if faults == nil {
		return Pass, 0
	}
	action, delay := faults(f)
	p.count(func(s *Stats) {
		if delay > 0 {
			s.Delayed++
		}
		if action != Pass {
			s.Done[Done{f, action}]++
		}
	})
	return action, delay
}
