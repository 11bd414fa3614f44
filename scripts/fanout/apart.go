package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// apart is the notifier with its feed in another process, as brokers and
// producers are: what it uses is what it takes to fan events out.
type apart struct {
	notifier *service
	feed     *child
}

func (o options) startApart(ctx context.Context) (*apart, error) {
	c, err := startChild(ctx, "-feed", "-layout", o.layout,
		"-clients", strconv.Itoa(o.clients), "-events", strconv.Itoa(o.events), "-size", strconv.Itoa(o.size))
	if err != nil {
		return nil, err
	}
	if !c.lines.Scan() {
		c.close()
		return nil, errors.New("start the feed: it says nothing")
	}
	n, err := startNotifier(ctx, []string{c.lines.Text()})
	if err != nil {
		c.close()
		return nil, err
	}
	return &apart{notifier: n, feed: c}, nil
}

func (a *apart) addr() string { return a.notifier.Addr() }

// start has the feed publish everything.
func (a *apart) start() error {
	if _, err := io.WriteString(a.feed.stdin, "\n"); err != nil {
		return fmt.Errorf("tell the feed to start: %w", err)
	}
	return nil
}

func (a *apart) close() {
	a.notifier.stop()
	a.feed.close()
}
