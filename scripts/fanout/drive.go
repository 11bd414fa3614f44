package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// driveClients is the process of the clients: it says when all are connected and
// when each has received all that it should, and stays until standard input
// ends.
func (o options) driveClients(ctx context.Context) error {
	affordable(o.clients)
	l := layout(o.layout)
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	failed := make(chan error, o.clients)
	watchers := make([]*watcher, o.clients)
	for i := range watchers {
		w, err := connect(ctx, o.drive, o.dialect, l.user(i))
		if err != nil {
			return fmt.Errorf("connect client %d: %w", i, err)
		}
		defer w.conn.Close()
		watchers[i] = w
		go func() { failed <- w.watch(o.events) }()
	}
	fmt.Println("connected")
	if l == idle {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	for range watchers {
		select {
		case err := <-failed:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return missing(watchers, o.events)
		}
	}
	fmt.Println("done")
	// What comes now is one too many.
	return o.surplus(failed, watchers)
}

// surplus looks whether a client gets more than it should, for a moment.
func (o options) surplus(failed chan error, watchers []*watcher) error {
	for _, w := range watchers {
		go func() { failed <- w.watch(1) }()
	}
	moment := time.NewTimer(300 * time.Millisecond)
	defer moment.Stop()
	select {
	case err := <-failed:
		if err == nil {
			return fmt.Errorf("a client got more than its %d events", o.events)
		}
		return err
	case <-moment.C:
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func missing(watchers []*watcher, events int) error {
	short := 0
	for _, w := range watchers {
		if int(w.next.Load()) < events {
			short++
		}
	}
	return fmt.Errorf("%d of %d clients have not got all of their %d events", short, len(watchers), events)
}
