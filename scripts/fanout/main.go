// Command fanout measures how many messages reach WebSocket clients, side by
// side in one run: this project's notifier on the embedded broker, with one
// event in each frame and with many (tasklane.v1.batch); the centrifuge library
// (memory broker, JSON, no history); and bare gorilla/websocket with one write
// a message. Then what an idle connection costs, and what clients that never read
// cost their neighbours.
//
//	make bench-fanout
//	cd scripts/fanout && go run . --rounds 5 --idle 0
//
// Each measurement has a process of its own for the server and another for the
// clients, which are raw sockets. Every client checks every message: one that is
// missing, doubled or out of order ends the run with exit code 1. On a shared
// machine only the ratios mean anything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are what a run is told.
type options struct {
	clients int
	events  int
	size    int
	idle    int
	rounds  int
	only    string
	layouts string
	profile string

	// What follows is for the program's own processes.

	serve   string
	layout  string
	drive   string
	feed    bool
	dialect string
}

// measureTimeout bounds one measurement, so that a run that is stuck says so.
const measureTimeout = 3 * time.Minute

func main() {
	var o options
	flag.IntVar(&o.clients, "clients", 1000, "clients")
	flag.IntVar(&o.events, "events", 300, "events for each client")
	flag.IntVar(&o.size, "size", 300, "bytes of an event, at least 200")
	flag.IntVar(&o.idle, "idle", 10_000, "idle connections; 0 leaves them out")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, in each of which every server has its turn")
	flag.StringVar(&o.only, "only", "", "comma list of the servers to measure; empty is all: "+strings.Join(contenders(),
		", "))
	flag.StringVar(&o.layouts, "layouts", "", "comma list of what to measure; empty is all: "+joined(layouts()))
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of the servers to files that begin with this")
	flag.StringVar(&o.serve, "serve", "", "the server to measure; for this program's own use")
	flag.StringVar(&o.layout, "layout", "", "how clients and users are paired; for this program's own use")
	flag.StringVar(&o.drive, "drive", "", "the address to connect to; for this program's own use")
	flag.BoolVar(&o.feed, "feed", false, "publish; for this program's own use")
	flag.StringVar(&o.dialect, "dialect", "", "what the clients speak; for this program's own use")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.size < minSize {
		return fmt.Errorf("--size %d is too small: an event needs %d bytes", o.size, minSize)
	}
	switch {
	case o.drive != "":
		return o.driveClients(ctx)
	case o.feed:
		return o.feedApart(ctx)
	case o.serve != "":
		return o.measure(ctx)
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !slices.Contains(contenders(), name) {
			return fmt.Errorf("--only: there is no server %q; there are %s", name, strings.Join(contenders(), ", "))
		}
	}
	return o.compareAll(ctx)
}

// compareAll measures in each layout that was asked for.
func (o options) compareAll(ctx context.Context) error {
	wanted := layouts()
	if o.layouts != "" {
		wanted = nil
		for name := range strings.SplitSeq(o.layouts, ",") {
			if !slices.Contains(layouts(), layout(name)) {
				return fmt.Errorf("--layouts: there is no layout %q; there are %s", name, joined(layouts()))
			}
			wanted = append(wanted, layout(name))
		}
	}
	for _, l := range wanted {
		var err error
		switch {
		case l == deaf:
			err = o.compareDeaf(ctx)
		case l != idle || o.idle > 0:
			err = o.compare(ctx, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
