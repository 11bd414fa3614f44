package subprocess

import (
	"strconv"
	"time"

	"github.com/aiecs/tasklane/processor/external/message"
)

// maxWaiting is how many messages of an execution wait for its handler. Beyond that the child is not read on, which is
// how one that floods is slowed down.
const maxWaiting = 16

// execution is a task in a child.
type execution struct {
	id    uint64
	child *child
	key   string // of its task
	inbox chan *message.Message
	left  chan struct{} // closed when its handler waits for it no more
	// expires ends the child if the execution is in it still at its time limit, with nobody waiting. Set by leave.
	expires *time.Timer
}

// name is the id as it stands in messages.
func (e *execution) name() string { return strconv.FormatUint(e.id, 10) }

// deliver gives a message to the handler, when it takes it.
func (e *execution) deliver(m *message.Message) {
	select {
	case e.inbox <- m:
	case <-e.left:
	case <-e.child.killed:
	}
}

// leave is called once, by a handler that returns. What runs on gets until its deadline to end.
func (e *execution) leave(deadline time.Time) {
	close(e.left)
	c := e.child
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.executions[e.id] != e {
		return
	}
	e.expires = time.AfterFunc(time.Until(deadline), func() {
		c.kill(ending{reason: "a task that was told to stop had not ended at its time limit; answer cancel messages, or " +
			"check for them"})
	})
}
