//go:build unix

package subprocess

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/schemas"
)

// benchInput is what the tasks of the benchmark carry.
const benchInput = `{"text":"The quick brown fox jumps over the lazy dog.","language":"en","options":{"depth":3}}`

// BenchmarkRoundTrips measures tasks through one child beside its ceiling, the same lines through the same pipes and
// the same child without a pool. In both as many are on their way as the name says. What is said of them:
//
//   - trips/s and ceiling/s: tasks, and lines, a second;
//   - ratio: of the two;
//   - go-µs: processor time of this process for a task, and ceiling-go-µs for a line;
//   - overhead-µs: what a task takes longer than a line. With one on its way that is latency.
func BenchmarkRoundTrips(b *testing.B) {
	for _, together := range []int{1, 64} {
		b.Run(strconv.Itoa(together), func(b *testing.B) {
			ceiling := benchPipe(b, together)
			trips := benchPool(b, together)
			b.ReportMetric(trips.rate(), "trips/s")
			b.ReportMetric(ceiling.rate(), "ceiling/s")
			b.ReportMetric(trips.rate()/ceiling.rate(), "ratio")
			b.ReportMetric(trips.each(trips.processor), "go-µs")
			b.ReportMetric(ceiling.each(ceiling.processor), "ceiling-go-µs")
			b.ReportMetric(trips.each(trips.elapsed)-ceiling.each(ceiling.elapsed), "overhead-µs")
		})
	}
}

// measured is what a number of round trips took.
type measured struct {
	count              int
	elapsed, processor time.Duration
}

func (m measured) rate() float64 { return float64(m.count) / m.elapsed.Seconds() }
func (m measured) each(took time.Duration) float64 {
	return float64(took.Microseconds()) / float64(m.count)
}

// measure runs something that makes b.N round trips.
func measure(b *testing.B, run func()) measured {
	b.Helper()
	before, begun := processorTime(b), time.Now()
	run()
	return measured{b.N, time.Since(begun), processorTime(b) - before}
}

// processorTime is what this process, without its children, has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchPool runs b.N tasks in the child of a pool.
func benchPool(b *testing.B, together int) measured {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	pool, err := New(Config{
		Mode: "test", Name: "child", Command: []string{program}, Env: []string{childVariable + "=bare"},
		Lookup: os.LookupEnv,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = pool.run(ctx, processor.Cluster{}) // it has no error
	}()
	defer func() { cancel(); <-ended }()
	benchTrip(b, pool, benchTask(0)) // when the child is ready
	var next atomic.Int64
	b.ResetTimer()
	defer b.StopTimer()
	return measure(b, func() {
		var all sync.WaitGroup
		for range together {
			all.Go(func() {
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					benchTrip(b, pool, benchTask(n))
				}
			})
		}
		all.Wait()
	})
}

func benchTask(n int64) *schemas.Task {
	return &schemas.Task{TaskID: "t-" + strconv.FormatInt(n, 10), UserID: "u", TaskName: "echo", Mode: "test",
		Service: "child", InputData: jsontext.Value(benchInput), Context: jsontext.Value(`{}`)}
}

func benchTrip(b *testing.B, pool *Pool, task *schemas.Task) {
	grant, wait := pool.admit(task)
	for ; wait != nil; grant, wait = pool.admit(task) {
		pace.Sleep(b.Context(), time.Until(wait.Until))
	}
	deadline := time.Now().Add(time.Hour)
	c := processor.NewContext(task, "fast", 1, func(context.Context, *schemas.Event) error { return nil },
		processor.WithGrant(grant), processor.WithDeadlines(deadline, deadline))
	if _, err := pool.execute(context.Background(), c); err != nil {
		b.Error(err)
	}
}

// benchPipe sends b.N lines to the child that the pool has too, and reads as many.
func benchPipe(b *testing.B, together int) measured {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	toChild, tell, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	hear, fromChild, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), program)
	cmd.Env = append(os.Environ(), childVariable+"=bare")
	cmd.ExtraFiles = []*os.File{toChild, fromChild}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	closeAll(toChild, fromChild)
	defer func() {
		closeAll(tell)
		_, _ = io.Copy(io.Discard, hear)
		closeAll(hear)
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	}()
	deadline := time.Now().Add(time.Hour)
	given := message.Assignment{ID: "1", Attempt: 1, Task: benchTask(1), Lane: "fast", Soft: deadline, Hard: deadline}
	line, err := given.Encode()
	if err != nil {
		b.Fatal(err)
	}
	answers := bufio.NewReaderSize(hear, 64<<10)
	if _, err := answers.ReadSlice('\n'); err != nil { // ready
		b.Fatal(err)
	}
	return measure(b, func() { echoLines(b, line, tell, answers, together) })
}

// echoLines has no more than so many lines on their way. Lines that may go go in one piece, as the pool's do.
func echoLines(b *testing.B, line []byte, tell io.Writer, answers *bufio.Reader, together int) {
	b.Helper()
	for sent, heard := 0, 0; heard < b.N; {
		if more := min(together-(sent-heard), b.N-sent); more > 0 {
			if _, err := tell.Write(bytes.Repeat(line, more)); err != nil {
				b.Fatal(err)
			}
			sent += more
		}
		for {
			if _, err := answers.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
			if heard++; answers.Buffered() == 0 {
				break
			}
		}
	}
}
