package logtest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/logtest"
)

// failing takes note of how a test failed.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestAwaitFailsWithTheLog: what was logged says more than that something was not.
func TestAwaitFailsWithTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		f := &failing{TB: t}
		began := time.Now()
		var waiting sync.WaitGroup
		waiting.Go(func() { log.Await(f, time.Minute, "never") })
		if _, err := log.Write([]byte("something else\n")); err != nil {
			t.Fatal(err)
		}
		waiting.Wait()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it waited %v", took)
		}
		for _, part := range []string{"1m0s", `"never"`, "something else"} {
			if !strings.Contains(f.text, part) {
				t.Errorf("it failed with %q, which does not say %s", f.text, part)
			}
		}
	})
}

// TestEveryoneWhoWaitsHears of a text, whichever write completes it.
func TestEveryoneWhoWaitsHears(t *testing.T) {
	var log logtest.Buffer
	var waiting sync.WaitGroup
	for n := range 5 {
		waiting.Go(func() { log.Await(t, 20*time.Second, fmt.Sprint("line ", n)) })
	}
	for n := range 5 {
		for _, part := range []string{"li", "ne ", fmt.Sprint(n, "\n")} {
			if _, err := log.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	waiting.Wait()
	log.Reset()
	if got := log.String(); got != "" {
		t.Errorf("after a reset the log has %q", got)
	}
}
