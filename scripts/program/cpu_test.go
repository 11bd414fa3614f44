package program

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeOfALine(t *testing.T) {
	for stat, want := range map[string]time.Duration{
		"17 (sleep) S 1 17 17 0 -1 0 1 2 3 4 250 50 9 9": 3 * time.Second,
		"17 (a (b) c) S 1 17 17 0 -1 0 1 2 3 4 1 0 9 9":  10 * time.Millisecond,
		"":                     0,
		"17 (cut) S 1 17":      0,
		"no name S 1 2 3 4 5 ": 0,
	} {
		if got := cpuTime([]byte(stat)); got != want {
			t.Errorf("%q: %v, want %v", stat, got, want)
		}
	}
}

func TestCPUTimeGrows(t *testing.T) {
	before := CPUTime(os.Getpid())
	for begun := time.Now(); CPUTime(os.Getpid()) < before+5*clockTick; {
		if time.Since(begun) > time.Minute {
			t.Fatalf("a minute of work, and the CPU time is %v as it was", CPUTime(os.Getpid()))
		}
	}
	if used := CPUTime(1 << 30); used != 0 {
		t.Errorf("a process that is not there has used %v", used)
	}
}
