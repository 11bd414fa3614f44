package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// remoteFeed is a feed in another process.
type remoteFeed struct {
	process *child
	broker  string
}

func (o options) startRemoteFeed(ctx context.Context) (*remoteFeed, error) {
	c, err := startChild(ctx, "-feed", "-layout", o.layout,
		"-clients", strconv.Itoa(o.clients), "-events", strconv.Itoa(o.events), "-size", strconv.Itoa(o.size))
	if err != nil {
		return nil, err
	}
	if !c.lines.Scan() {
		c.close()
		return nil, errors.New("start the feed: it says nothing")
	}
	return &remoteFeed{c, c.lines.Text()}, nil
}

// start has it publish everything.
func (f *remoteFeed) start() error {
	if _, err := io.WriteString(f.process.stdin, "\n"); err != nil {
		return fmt.Errorf("tell the feed to start: %w", err)
	}
	return nil
}

// apart is the notifier with its feed in another process, as brokers and
// producers are: what it uses is what it takes to fan events out.
type apart struct {
	*remoteFeed
	notifier *service
}

func (o options) startApart(ctx context.Context) (*apart, error) {
	f, err := o.startRemoteFeed(ctx)
	if err != nil {
		return nil, err
	}
	n, err := startNotifier(ctx, []string{f.broker})
	if err != nil {
		f.process.close()
		return nil, err
	}
	return &apart{f, n}, nil
}

func (a *apart) addr() string { return a.notifier.Addr() }

func (a *apart) close() {
	a.notifier.stop()
	a.process.close()
}
