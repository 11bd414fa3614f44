package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What is measured beside clients that never read: all watch one user, whose
// events are so large and so many that the deaf ones are closed for it.
const (
	neighbours   = 100
	deafClients  = 20
	deafEvents   = 1200
	deafSize     = 8 << 10 // bytes of an event
	deafInterval = 5 * time.Millisecond
)

// neighbourhood is a notifier and the clients beside the deaf ones, in one process.
type neighbourhood struct {
	server   *tasklane
	watchers []*watcher
	sent     int

	mu     sync.Mutex
	delays []time.Duration
}

// compareDeaf measures the neighbours' delays with and without clients that never
// read, in turns, and prints them.
func (o options) compareDeaf(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	h, err := settle(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	var alone, beside, ratios []float64
	for range o.rounds {
		without, err := h.turn(ctx, 0)
		if err != nil {
			return err
		}
		with, err := h.turn(ctx, deafClients)
		if err != nil {
			return err
		}
		alone, beside, ratios = append(alone, without), append(beside, with), append(ratios, with/without)
	}
	closed, err := h.closed(ctx)
	if err != nil {
		return err
	}
	if closed != o.rounds*deafClients {
		return fmt.Errorf("%d deaf clients were closed, want %d: they were not deaf enough to count", closed,
			o.rounds*deafClients)
	}
	fmt.Printf("\ndeaf: %d clients beside %d that never read, %d events of %d bytes; %d rounds, medians\n",
		neighbours, deafClients, deafEvents, deafSize, o.rounds)
	at := middle(ratios)
	fmt.Printf("p99 of the delay: alone %.2f ms, beside them %.2f ms; %.2f times (%.2f to %.2f)\n",
		1e3*middle(alone), 1e3*middle(beside), at, ratios[0], ratios[len(ratios)-1])
	return nil
}

func settle(ctx context.Context) (*neighbourhood, error) {
	server, err := startTasklane(ctx)
	if err != nil {
		return nil, err
	}
	h := &neighbourhood{server: server}
	for range neighbours {
		w, err := connect(ctx, server.addr(), dialectSingle, 0)
		if err != nil {
			h.close()
			return nil, err
		}
		h.watchers = append(h.watchers, w)
	}
	return h, nil
}

func (h *neighbourhood) close() {
	for _, w := range h.watchers {
		w.conn.Close()
	}
	h.server.close()
}

// turn publishes events at a steady pace beside so many deaf clients, and is the
// neighbours' p99 of the delay from before an event was produced to when its
// client had it, in seconds.
func (h *neighbourhood) turn(ctx context.Context, beside int) (float64, error) {
	for range beside {
		w, err := connect(ctx, h.server.addr(), dialectSingle, 0)
		if err != nil {
			return 0, err
		}
		defer w.conn.Close()
	}
	times := make([]time.Time, deafEvents) // each is written before its event is produced
	h.delays = h.delays[:0]
	failed := make(chan error, len(h.watchers))
	for _, w := range h.watchers {
		go func() { failed <- h.follow(w, h.sent, times) }()
	}
	pace := time.NewTicker(deafInterval)
	defer pace.Stop()
	for n := range times {
		<-pace.C
		times[n] = time.Now()
		if err := h.server.publish(ctx, 0, event(0, h.sent+n, deafSize)); err != nil {
			return 0, err
		}
	}
	h.sent += len(times)
	for range h.watchers {
		select {
		case err := <-failed:
			if err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, missing(h.watchers, h.sent)
		}
	}
	slices.Sort(h.delays)
	return h.delays[len(h.delays)*99/100].Seconds(), nil
}

// follow has a client take every event of a turn, and notes the delays.
func (h *neighbourhood) follow(w *watcher, first int, times []time.Time) error {
	delays := make([]time.Duration, len(times))
	for n := range times {
		if err := w.watch(1); err != nil {
			return err
		}
		delays[n] = time.Since(times[n])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.delays = append(h.delays, delays...)
	if got := int(w.next.Load()); got != first+len(times) {
		return fmt.Errorf("a client is at event %d, not at %d", got, first+len(times))
	}
	return nil
}

// closed is how many clients the notifier has closed for not reading.
func (h *neighbourhood) closed(ctx context.Context) (count int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.server.addr()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	const name = `tasklane_notifier_closed_total{code="4008"} `
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			_, err = fmt.Sscan(value, &count)
			return count, err
		}
	}
	return 0, nil
}
