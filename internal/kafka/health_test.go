package kafka_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
)

var errBroken = errors.New("broken")

func TestHealthOfFaultsThatLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h kafka.Health
		want := func(well bool, when string) {
			t.Helper()
			if err := h.Err(); (err == nil) != well {
				t.Errorf("%s: %v", when, err)
			}
		}
		fail := func(times int) {
			for range times {
				h.Fault(errBroken)
				pace.Sleep(t.Context(), time.Second)
			}
		}
		want(true, "at first")
		fail(2)
		want(true, "after two faults within a second")
		fail(2)
		want(false, "after faults for three seconds")
		h.Works()
		want(true, "after a success")
		fail(4)
		want(false, "after faults again")
		pace.Sleep(t.Context(), 10*time.Second)
		want(true, "after some seconds without one")
		fail(1)
		want(true, "after a single new one")
		h.Look(errBroken)
		want(false, "after a look that failed")
		h.Works()
		want(false, "which a read does not mend")
		h.Look(nil)
		want(true, "but the next look")
		for range 10 {
			h.Fault(kgo.ErrClientClosed)
			pace.Sleep(t.Context(), time.Second)
		}
		want(true, "after the part's own end")
	})
}

func TestHealthOfRecordsThatAreNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h kafka.Health
		pace.Sleep(t.Context(), time.Hour)
		for range 10 { // a stream of which there is always some on the way
			h.Sent()
			h.Sent()
			pace.Sleep(t.Context(), time.Second)
			h.Settled(nil)
			if err := h.Err(); err != nil {
				t.Fatal(err)
			}
		}
		pace.Sleep(t.Context(), 3*time.Second)
		if h.Err() == nil {
			t.Error("nothing is acknowledged for three seconds, and that is well")
		}
		for range 10 {
			h.Settled(nil)
		}
		if err := h.Err(); err != nil {
			t.Error(err)
		}
	})
}
