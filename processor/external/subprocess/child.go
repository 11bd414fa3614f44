package subprocess

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor/external/message"
)

const (
	// lastWords is how long what an ended child has written is read, if another process has its descriptors.
	lastWords = time.Second
	// pingAfter is how long a child may say nothing before it is asked, silentFor how long before it is ended.
	pingAfter = 10 * time.Second
	silentFor = 30 * time.Second
)

// child is a process and what is spoken with it.
type child struct {
	seat  int
	pid   int
	log   *slog.Logger
	tail  *tail
	box   *outbox
	tell  *os.File // its descriptor 3
	hear  *os.File // its descriptor 4
	ready chan *message.Message
	// killed is closed when the child is to end at once, done when it has ended and all that it said was heard.
	killed, done chan struct{}
	// finished is called, without locks, for each execution that is over, gone before anybody hears that the child has
	// ended: from then on it is given nothing, and what was in it is known.
	finished func(*execution)
	gone     func(*child)

	mu         sync.Mutex
	executions map[uint64]*execution
	issued     uint64 // ids so far
	fault      ending // why it was killed, if it was
	ended      ending // how it has ended
	heard      time.Time
	delivering bool // the reader waits for a handler, and hears nothing
	started    bool // the ready message has come
	pings      bool // it answers pings while it works
	closed     bool // the killed channel

	// Set and read under the pool's lock.
	places      int // how many executions it takes at once
	taken       int // executions that are in it, or on their way
	served      int // tasks that were given to it
	limit       int // after how many it is worn, 0 for never
	worn        bool
	alone       bool      // it has a suspect, which nobody shares it with
	keptUntil   time.Time // for a suspect
	wornOrEmpty chan struct{}
}

// start starts a child. It is told of later by its channels.
func (p *Pool) start(seat int) (*child, error) {
	c, log := &p.config, p.config.Logger.With("child", seat)
	toChild, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	hear, fromChild, err := os.Pipe()
	if err != nil {
		closeAll(toChild, tell)
		return nil, fmt.Errorf("start child: %w", err)
	}
	outputs, printed, err := os.Pipe()
	if err != nil {
		closeAll(toChild, tell, hear, fromChild)
		return nil, fmt.Errorf("start child: %w", err)
	}
	k := &child{
		seat: seat, log: log, tail: &tail{log: log}, box: newOutbox(), tell: tell, hear: hear,
		ready: make(chan *message.Message, 1), killed: make(chan struct{}), done: make(chan struct{}),
		finished: p.over, gone: p.gone, executions: map[uint64]*execution{},
		wornOrEmpty: make(chan struct{}, 1), heard: time.Now(),
	}
	cmd := exec.Command(c.Command[0], c.Command[1:]...) //nolint:gosec,noctx // the operator's command; kill ends it
	cmd.Env = c.environment(seat)
	cmd.ExtraFiles = []*os.File{toChild, fromChild}
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.SysProcAttr = attributes()
	started := make(chan error, 1)
	go k.run(cmd, outputs, started)
	err = <-started
	closeAll(toChild, fromChild, printed)
	if err != nil {
		closeAll(tell, hear, outputs)
		return nil, fmt.Errorf("start child: %w", err)
	}
	return k, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written that a close could lose
	}
}

// run has the process from its start to its end. On Linux the child ends with the thread that has started it, so that
// it is this goroutine's as long.
func (c *child) run(cmd *exec.Cmd, outputs *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	if err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	var printing, reading, others sync.WaitGroup
	printing.Go(func() { c.tail.follow(outputs, "output") })
	heard := make(chan struct{})
	reading.Go(func() { defer close(heard); c.read() })
	others.Go(func() {
		if err := c.box.write(c.tell, heard); err != nil {
			c.finish("it closed descriptor 3 without ending")
		}
	})
	others.Go(func() { c.watch(heard) })
	awaitExit(c.pid)
	_ = killGroup(c.pid) // it may have no other members
	how := cmd.Wait()
	late := time.AfterFunc(lastWords, func() { closeAll(c.hear) })
	reading.Wait()
	late.Stop()
	closeAll(c.hear, c.tell)
	others.Wait()
	last := time.AfterFunc(lastWords, func() { closeAll(outputs) })
	printing.Wait()
	last.Stop()
	closeAll(outputs)
	c.conclude(how)
}

// conclude tells how the child has ended.
func (c *child) conclude(how error) {
	c.mu.Lock()
	if c.ended = c.fault; c.ended.reason == "" {
		c.ended.reason = "the child ended: exit status 0"
		if how != nil {
			c.ended.reason = "the child ended: " + how.Error()
		}
	}
	if text := c.tail.text(); text != "" {
		c.ended.detail += "; it printed last: " + message.Cut(text, maxPrinted)
	}
	c.closed = true
	c.mu.Unlock()
	c.gone(c)
	close(c.done)
}

// end is how the child has ended, once done is closed.
func (c *child) end() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// kill ends the child and its process group at once, for a reason.
func (c *child) kill(why ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.fault = true, why
	close(c.killed)
	select {
	case <-c.done:
		return // its number may be another's
	default:
	}
	if err := killGroup(c.pid); err != nil {
		c.log.Error("a child cannot be ended", "pid", c.pid, "error", err)
	}
	closeAll(c.hear)
}

// begin gives the child an execution more, without telling it.
func (c *child) begin(key string) *execution {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.issued++
	e := &execution{
		id: c.issued, child: c, key: key, inbox: make(chan *message.Message, maxWaiting), left: make(chan struct{}),
	}
	c.executions[e.id] = e
	return e
}

// working reports whether an execution is in the child, and whether it is the only one.
func (c *child) working(e *execution) (in, only bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in = c.executions[e.id] == e
	return in, in && len(c.executions) == 1
}

// remove takes out an execution that is over; nil if there is none with the id.
func (c *child) remove(id uint64) *execution {
	c.mu.Lock()
	e := c.executions[id]
	delete(c.executions, id)
	c.mu.Unlock()
	if e != nil && e.expires != nil {
		e.expires.Stop()
	}
	return e
}

// read hears what the child says until there is no more.
func (c *child) read() {
	l := message.NewLines(c.hear)
	for {
		line, long, err := l.Next()
		c.noteHeard()
		switch {
		case long != nil:
			c.takeLong(long)
		case len(line) > 0:
			m, wrong := message.Parse(line)
			if wrong != nil {
				c.kill(ending{"it wrote a line that is no message; messages are JSON objects, one a line, on descriptor 4",
					fmt.Sprintf(": %.80q", line)})
				return
			}
			c.take(m)
		}
		if err != nil {
			c.finish("it closed descriptor 4 without ending")
			return
		}
	}
}

// finish gives a child that cannot be spoken with any more a moment to end.
func (c *child) finish(why string) {
	patience := time.AfterFunc(lastWords, func() { c.kill(ending{reason: why}) })
	go func() {
		<-c.done
		patience.Stop()
	}()
}

func (c *child) noteHeard() {
	c.mu.Lock()
	c.heard, c.delivering = time.Now(), false
	c.mu.Unlock()
}

// take is a message of the child.
func (c *child) take(m *message.Message) {
	if m.Type == message.Ready {
		c.takeReady(m)
		return
	}
	if !m.OfTask() {
		if m.Type == message.Log {
			c.log.Info("a child says", "level", m.Level, "text", message.Cut(m.Message, maxPrinted))
		}
		return
	}
	id, err := strconv.ParseUint(m.ID, 10, 64)
	c.mu.Lock()
	known := err == nil && id > 0 && id <= c.issued
	e := c.executions[id]
	c.mu.Unlock()
	switch {
	case !known:
		c.kill(ending{"it sent " + m.Type + " with an id that no task has; answer with the id of the task message",
			fmt.Sprintf(": %.40q", m.ID)})
	case e == nil && m.Last():
		c.kill(ending{"it sent a second last word (" + m.Type + ") about an id; send result, error, retry or cancelled once",
			": id " + m.ID})
	case e != nil:
		c.give(e, m)
	}
}

// give gives a message to its execution.
func (c *child) give(e *execution, m *message.Message) {
	if m.Last() {
		c.remove(e.id)
		c.finished(e)
	}
	c.mu.Lock()
	c.delivering = true
	c.mu.Unlock()
	e.deliver(m)
	c.noteHeard()
}

func (c *child) takeReady(m *message.Message) {
	c.mu.Lock()
	again := c.started
	c.started, c.pings = true, m.Ping
	c.mu.Unlock()
	if again {
		c.kill(ending{reason: "it sent ready twice; send it once, first"})
		return
	}
	c.ready <- m
}

// takeLong ends the execution that has sent too long a line, and the child if it is not known which that is.
func (c *child) takeLong(l *message.LongLine) {
	const advice = "a line of more than 1 MiB; return less, or write the result in pieces with output"
	id, _ := strconv.ParseUint(message.IDOf(l.Head), 10, 64)
	if e := c.remove(id); e != nil {
		c.finished(e)
		e.deliver(&message.Message{Type: message.Error, Message: "the service wrote " + advice})
		if !l.Endless {
			return
		}
	}
	c.kill(ending{reason: "it wrote " + advice})
}

// watch asks a child that says nothing whether it is there. One that works and has not said that it answers then is
// left to the time limits of its tasks.
func (c *child) watch(heard <-chan struct{}) {
	ticker := time.NewTicker(pingAfter)
	defer ticker.Stop()
	asked := false
	for {
		select {
		case <-ticker.C:
		case <-heard:
			return
		}
		c.mu.Lock()
		silent := time.Since(c.heard)
		asks := c.started && !c.delivering && (c.pings || len(c.executions) == 0)
		c.mu.Unlock()
		switch {
		case !asks || silent < pingAfter:
			asked = false
		case asked && silent >= silentFor:
			c.kill(ending{reason: fmt.Sprintf("it answered no ping for %v", silentFor)})
			return
		default:
			asked = true
			c.box.put([]byte(`{"type":"ping"}` + "\n"))
		}
	}
}

// stop tells a child to end, and ends it when it has not in time. Its executions are waited for as long.
func (c *child) stop(within time.Duration) {
	c.box.put([]byte(`{"type":"shutdown"}` + "\n"))
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.kill(ending{reason: fmt.Sprintf("it had not ended %v after shutdown", within)})
		<-c.done
	}
}
