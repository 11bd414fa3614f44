package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The queue that others stand in: as many as a processor reads ahead and more,
// on slots that come free every 50 ms.
const (
	fairBacklog = 20_000
	fairTasks   = 100
	fairSlots   = 10
	fairInput   = `{"ms":50}`
)

// measureFair compares the waits of a user's tasks behind another user's backlog
// with those of the same tasks alone, in one partition, and looks at urgent
// tasks that come behind a backlog.
func measureFair(ctx context.Context, o options) error {
	o.partitions = 1
	type run struct {
		name, heavy, priority, urgent string
	}
	waits := map[string][]time.Duration{}
	for _, r := range []run{
		{name: "alone"},
		{name: "behind another's", heavy: "heavy"},
		{name: "urgent, alone", urgent: `,"priority":9`},
		{"urgent, another's", "heavy", `,"priority":1`, `,"priority":9`},
		{"urgent, behind own", "light", `,"priority":1`, `,"priority":9`},
	} {
		backlog := 0
		if r.heavy != "" {
			backlog = o.scaled(fairBacklog)
		}
		got, left, err := fairRun(ctx, o, backlog, func(n int) (string, []byte) {
			return r.heavy, debugTask(fmt.Sprint("heavy-", n), r.heavy, "sleep", fairInput, r.priority)
		}, r.urgent)
		if err != nil {
			return err
		}
		waits[r.name] = got
		fmt.Printf("fair   %-18s p50 %v p99 %v, with %d of the backlog not started\n", r.name, quantileOf(got, .5),
			quantileOf(got, .99), left)
	}
	for _, q := range []float64{.5, .99} {
		alone := quantileOf(waits["alone"], q)
		fmt.Printf("fair   p%.0f behind another's backlog: %.2f times that of being alone\n", 100*q,
			quantileOf(waits["behind another's"], q).Seconds()/alone.Seconds())
	}
	return nil
}

// fairRun is how long a user's tasks wait until they start, and how much of the
// backlog had not been started when the last of them was.
func fairRun(ctx context.Context, o options, backlog int, heavy func(int) (string, []byte),
	urgent string) (waits []time.Duration, left int, err error) {
	ctx, s, err := newScene(ctx, o, fast(fairSlots))
	if err != nil {
		return nil, 0, err
	}
	defer s.close()
	if err := s.send(ctx, backlog, heavy); err != nil {
		return nil, 0, err
	}
	left = backlog
	if backlog > 0 { // until the backlog is at work
		err := s.follow(ctx, func(e *event) bool {
			if e.started() {
				left--
			}
			return left < backlog-100
		})
		if err != nil {
			return nil, 0, err
		}
	}
	sent := time.Now()
	err = s.send(ctx, fairTasks, func(n int) (string, []byte) {
		return "light", debugTask(fmt.Sprint("light-", n), "light", "sleep", fairInput, urgent)
	})
	if err != nil {
		return nil, 0, err
	}
	err = s.follow(ctx, func(e *event) bool {
		switch {
		case !e.started():
		case strings.HasPrefix(e.TaskID, "light-"):
			waits = append(waits, e.at.Sub(sent))
		default:
			left--
		}
		return len(waits) == fairTasks
	})
	return waits, left, err
}
