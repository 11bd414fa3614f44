package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/scripts/chaos/proxy"
	"github.com/aiecs/tasklane/scripts/program"
)

func brokerFaults() []fault {
	return []fault{
		{
			name: "broker-kill",
			does: "kill -9 of the broker, and another start on its data; the last answers to produce requests are lost",
			evidence: "processors' produce requests that were under way when it died or had lost their " +
				"answers, and connections it refused", run: runBrokerKill,
			needs: func(c *config) string { return unless(c.nodes == 1, "-nodes 1 (node-kill is for three)") },
		},
		{
			name: "broker-freeze", does: "SIGSTOP of the broker for some seconds, then SIGCONT",
			evidence: "processors' requests that waited for longer than a second", run: runBrokerFreeze,
		},
		{
			name: "broker-restarts",
			does: "three restarts of the broker, by kill -9, while long tasks run: of 12 s on the embedded " +
				"broker, of 40 s on Apache Kafka",
			evidence: "tasks that ran through all three", run: runBrokerRestarts,
			needs: func(c *config) string { return unless(c.nodes == 1, "-nodes 1") },
		},
		{
			name: "node-kill", does: "kill -9 of one of three nodes, and another start",
			evidence: "partitions that moved to another leader", run: runNodeKill,
			needs: func(c *config) string { return unless(c.nodes == 3, "-broker kafka -nodes 3") },
		},
	}
}

// unless is what is missing.
func unless(ok bool, what string) string {
	if ok {
		return ""
	}
	return what
}

// lost is how many produce requests the processors have lost with their
// connections, and how many connections were refused.
func (a *arena) lost() int {
	count := 0
	for _, w := range a.workers {
		s := w.proxy.Stats()
		count += s.Lost[proxy.Produce] + s.Refused
	}
	return count
}

func runBrokerKill(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.lost() + a.done()
	for range 1 + random.IntN(2) {
		a.load.send(slow(random, 20)...)
		program.Pause(ctx, time.Duration(200+random.IntN(800))*time.Millisecond)
		// What it has written and not acknowledged is sent again, to a broker that
		// may have forgotten that it has it.
		a.faults(answers(1, proxy.Produce), random)
		program.Pause(ctx, time.Duration(random.IntN(200))*time.Millisecond)
		if err := a.broker.Signal(0, syscall.SIGKILL); err != nil {
			return 0, err
		}
		a.faults(nil, random)
		program.Pause(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
		if err := a.broker.Start(ctx); err != nil {
			return 0, fmt.Errorf("start the broker again: %w", err)
		}
		a.recovered(ctx)
	}
	return a.lost() + a.done() - before, nil
}

// runBrokerRestarts takes the broker away from workers that live: it is no evidence
// against the tasks they run.
func runBrokerRestarts(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	lost := a.book.count("failed worker_lost")
	length := 12 * time.Second
	if a.config.broker == "kafka" { // each of its starts takes some seconds
		length = 40 * time.Second
	}
	tasks := several(random, 12, task{name: "sleep", input: map[string]any{"ms": length.Milliseconds()},
		more: map[string]any{"priority": 10}})
	a.load.send(tasks...)
	begun := func() (n int) {
		for _, t := range tasks {
			if a.book.runs(t.key()) {
				n++
			}
		}
		return n
	}
	program.Until(ctx, 10*time.Second, func() bool { return begun() == len(tasks) })
	for range 3 {
		program.Pause(ctx, time.Duration(500+random.IntN(500))*time.Millisecond)
		if err := a.broker.Signal(0, syscall.SIGKILL); err != nil {
			return 0, err
		}
		program.Pause(ctx, time.Duration(500+random.IntN(1000))*time.Millisecond)
		if err := a.broker.Start(ctx); err != nil {
			return 0, fmt.Errorf("start the broker again: %w", err)
		}
	}
	hits := begun()
	// What its group has given to others is handed over and run again, maybe twice.
	err := a.waitEnds(ctx, tasks, time.Minute+2*length)
	if n := a.book.count("failed worker_lost") - lost; n > 0 {
		a.note("%d tasks ended as worker_lost though no worker was", n)
	}
	return hits, err
}

func runBrokerFreeze(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	if a.config.nodes > 1 {
		return a.freezeNode(ctx, random, random.IntN(a.config.nodes))
	}
	return a.freezeNode(ctx, random, 0)
}

func (a *arena) freezeNode(ctx context.Context, random *rand.Rand, node int) (int, error) {
	a.load.send(slow(random, 20)...)
	if err := a.broker.Signal(node, syscall.SIGSTOP); err != nil {
		return 0, err
	}
	program.Pause(ctx, a.config.freeze+time.Duration(random.IntN(3000))*time.Millisecond)
	waiting := 0
	for _, w := range a.workers {
		for _, key := range []int16{proxy.Produce, proxy.Fetch, proxy.Heartbeat, proxy.OffsetCommit} {
			waiting += w.proxy.Waiting(key, time.Second)
		}
	}
	return waiting, a.broker.Signal(node, syscall.SIGCONT)
}

// leaders are the leading nodes of all partitions.
func (a *arena) leaders(ctx context.Context) (map[string]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	topics, err := kadm.NewClient(a.load.client).ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list leaders: %w", err)
	}
	leaders := map[string]int32{}
	topics.EachPartition(func(d kadm.PartitionDetail) { leaders[fmt.Sprint(d.Topic, "/", d.Partition)] = d.Leader })
	return leaders, nil
}

func runNodeKill(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before, err := a.leaders(ctx)
	if err != nil {
		return 0, err
	}
	if err := a.broker.Signal(random.IntN(a.config.nodes), syscall.SIGKILL); err != nil {
		return 0, err
	}
	moved := 0
	program.Until(ctx, 30*time.Second, func() bool {
		after, err := a.leaders(ctx)
		if err != nil {
			return false
		}
		moved = 0
		for partition, leader := range after {
			if leader >= 0 && before[partition] != leader {
				moved++
			}
		}
		return moved > 0
	})
	program.Pause(ctx, 5*time.Second)
	if err := a.broker.Start(ctx); err != nil {
		return moved, fmt.Errorf("start the node again: %w", err)
	}
	a.recovered(ctx)
	return moved, nil
}
