package main

import (
	"cmp"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/openfiles"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/processor/external/remote"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/schemas"
)

// What a process opens besides its clients' connections, at most: connections to
// brokers and webhooks' receivers, files of the view and of waiting tasks.
const (
	ownDescriptors = 256
	// engineDescriptors are the embedded broker's for each partition: its newest
	// segment and that one's index.
	engineDescriptors = 2
	// innerDescriptors are the connections between the roles and the embedded
	// broker in one process, which has both ends of them.
	innerDescriptors = 128
	// leastConnections are allowed to every listener, whatever the limit.
	leastConnections = 16
	maxMetricsConns  = 128
)

// connections are how many each listener takes at a time.
type connections struct{ api, notifier, broker, metrics, workers int }

// shareDescriptors shares what the limit of open files leaves among the clients
// of the listeners in this process, and warns if it is less than they may take.
// Whatever it is, they do not get the last: the rest is for files, brokers and
// health checks.
func (w *wiring) shareDescriptors(wanted connections) {
	w.connections = wanted
	limit, known := openfiles.Limit()
	if !known {
		return
	}
	own := w.ownDescriptors()
	clients := wanted.api + notifier.OpenConnections(wanted.notifier) + wanted.broker + wanted.metrics + wanted.workers
	if limit >= uint64(own+clients) {
		return
	}
	left := max(int(limit)-own, 0)
	share := func(most int) int {
		if most == 0 {
			return 0
		}
		return max(int(int64(left)*int64(most)/int64(clients)), leastConnections)
	}
	w.connections = connections{
		api: share(wanted.api), notifier: share(wanted.notifier), broker: share(wanted.broker),
		metrics: share(wanted.metrics), workers: share(wanted.workers),
	}
	if wanted.broker > 0 {
		w.connections.broker += innerDescriptors // the roles' own come out of what is counted for them
	}
	args := []any{"limit", limit, "wanted", own + clients, "own", own}
	for name, n := range map[string]int{
		"api": w.connections.api, "notifier": w.connections.notifier, "broker": w.connections.broker,
		"metrics": w.connections.metrics, "workers": w.connections.workers,
	} {
		if n > 0 {
			args = append(args, "connections_"+name, n)
		}
	}
	w.log.Warn("the limit of open files is too low for all clients that may come: fewer are served at a time; "+
		"raise it with ulimit -n, or LimitNOFILE= of systemd", args...)
	if left == 0 {
		w.log.Warn("the limit of open files is too low for the process itself: expect errors that say too many open files",
			"limit", limit, "own", own)
	}
}

// ownDescriptors is what the process may open for itself.
func (w *wiring) ownDescriptors() int {
	if len(w.brokers) > 0 {
		return ownDescriptors
	}
	// The lanes, task-events, tasks.scheduled, task-webhooks and tasks.dlq; the
	// others are small.
	const others = 16
	partitions := (len(w.lanes)+4)*cmp.Or(w.partitions, schemas.DefaultPartitions) + others
	return ownDescriptors + innerDescriptors + engineDescriptors*partitions
}

// The clients that each role serves at a time where the limit allows it.

func apiConnections() connections      { return connections{api: producer.DefaultMaxConnections} }
func notifierConnections() connections { return connections{notifier: notifier.DefaultMaxConnections} }
func brokerConnections() connections   { return connections{broker: broker.DefaultMaxConnections} }
func metricsConnections() connections  { return connections{metrics: maxMetricsConns} }

// allConnections are those of `up`, with its own broker or without.
func allConnections(embedded bool) connections {
	c := connections{api: producer.DefaultMaxConnections, notifier: notifier.DefaultMaxConnections}
	if embedded {
		c.broker = broker.DefaultMaxConnections
	}
	return c
}

// withWorkers adds those of remote workers, if there are to be any.
func (w *wiring) withWorkers(c connections) connections {
	if w.workerListen != "" {
		c.workers = remote.DefaultMaxConnections
	}
	return c
}
