package processor

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAWorkerPoolRunsWhatWaitsWhileHandlersBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running int
		ended, release := make(chan struct{}), make(chan struct{})
		c := newWorkerPool(func(*attempt, *watchdog) { ended <- struct{}{}; <-release })
		for range 1000 {
			c.run(new(attempt))
		}
		for range 1000 { // each of them is running then
			<-ended
			running++
		}
		if c.settle(time.Second) {
			t.Error("the pool is gone while its handlers run")
		}
		close(release)
		synctest.Wait()
		if running != 1000 || len(c.waits) != 0 {
			t.Errorf("%d of 1000 handlers ran, %d attempts still wait", running, len(c.waits))
		}
	})
}

func TestAWorkerPoolGoesWhenItIsIdleAndComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan struct{}, 10)
		c := newWorkerPool(func(*attempt, *watchdog) { ran <- struct{}{} })
		for range 3 {
			for range cap(ran) {
				c.run(new(attempt))
			}
			for range cap(ran) {
				<-ran
			}
			synctest.Wait()
			if c.idling() == 0 {
				t.Error("nobody waits for the next attempt")
			}
			<-time.After(2 * idleTime)
			synctest.Wait()
			if n := c.idling(); n != 0 {
				t.Errorf("%d workers are still there", n)
			}
		}
		if !c.settle(time.Second) {
			t.Error("the pool did not go")
		}
	})
}

func TestAWorkerPoolThatWasStoppedStillRunsWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan struct{})
		c := newWorkerPool(func(*attempt, *watchdog) { ran <- struct{}{} })
		c.stop()
		for range 3 {
			c.run(new(attempt))
			<-ran
		}
		if !c.settle(time.Second) {
			t.Error("the pool did not go")
		}
	})
}

func (c *workerPool) idling() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}
