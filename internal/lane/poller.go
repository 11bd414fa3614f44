package lane

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// poller waits for a client's records, until it is turned.
type poller struct {
	client *kgo.Client
	most   int           // records at a time
	turned chan struct{} // has a value when there is something else to do first
}

func newPoller(client *kgo.Client, most int) *poller {
	return &poller{client: client, most: most, turned: make(chan struct{}, 1)}
}

// turn interrupts the poll, or the next one. It never blocks.
func (p *poller) turn() {
	select {
	case p.turned <- struct{}{}:
	default:
	}
}

// isTurned reports whether it was turned since it was last asked.
func (p *poller) isTurned() bool {
	select {
	case <-p.turned:
		return true
	default:
		return false
	}
}

// poll waits for records. What it returns after it was turned was there before.
func (p *poller) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	polled := make(chan struct{})
	defer close(polled)
	go func() {
		select {
		case <-p.turned:
			p.turn() // the poller's owner takes it
			cancel()
		case <-polled:
		}
	}()
	fetches := p.client.PollRecords(ctx, p.most)
	if ctx.Err() != nil {
		return withoutErrors(fetches)
	}
	return fetches
}

// withoutErrors drops the error by which a cancelled poll ends.
func withoutErrors(fetches kgo.Fetches) kgo.Fetches {
	var kept kgo.Fetches
	for _, f := range fetches {
		if len(f.Topics) == 1 && f.Topics[0].Topic == "" {
			continue
		}
		kept = append(kept, f)
	}
	return kept
}
