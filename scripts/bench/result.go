package main

import (
	"slices"
	"time"
)

// result is what one run measured.
type result struct {
	perSecond float64
	// latencies are sorted; empty in a run at full speed.
	latencies []time.Duration
}

// quantile is a latency in milliseconds.
func (r result) quantile(q float64) float64 {
	if len(r.latencies) == 0 {
		return 0
	}
	i := min(int(q*float64(len(r.latencies))), len(r.latencies)-1)
	return r.latencies[i].Seconds() * 1e3
}

func newResult(tasks int, took time.Duration, latencies []time.Duration) result {
	slices.Sort(latencies)
	return result{perSecond: float64(tasks) / took.Seconds(), latencies: latencies}
}
