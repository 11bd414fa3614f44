package logtest_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/logtest"
)

func TestBufferIsReadWhileItIsWritten(t *testing.T) {
	var log logtest.Buffer
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 100 {
				_, _ = io.WriteString(&log, "line\n") // a Buffer takes everything
			}
		})
	}
	log.Await(t, time.Minute, "line\nline\n")
	writers.Wait()
	if got := len(log.String()); got != 4*100*5 {
		t.Errorf("%d bytes, want %d", got, 4*100*5)
	}
	log.Reset()
	if got := log.String(); got != "" {
		t.Errorf("after Reset the log has %q", got)
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Fatalf(string, ...any) { r.failed = true; panic(r) }

func TestAwaitFailsWhenTheTextDoesNotCome(t *testing.T) {
	var log logtest.Buffer
	r := &recorder{TB: t}
	func() {
		defer func() { _ = recover() }() // in place of the end of the test's goroutine
		log.Await(r, time.Millisecond, "never")
	}()
	if !r.failed {
		t.Error("Await returned without the text")
	}
}
