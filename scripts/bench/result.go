package main

import (
	"slices"
	"syscall"
	"time"
)

// result is what one run measured.
type result struct {
	perSecond float64
	// cpu is this process's time a task: with the embedded broker everything. It
	// moves less than the rate does when others use the machine as well.
	cpu time.Duration
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

func newResult(tasks int, took, cpu time.Duration, latencies []time.Duration) result {
	slices.Sort(latencies)
	return result{perSecond: float64(tasks) / took.Seconds(), cpu: cpu / time.Duration(tasks), latencies: latencies}
}

// cpuTime is what this process has used of the processors so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
