package openai

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// lookTimeout bounds how long an unknown id is looked for.
	lookTimeout = 2 * time.Second
	// maxWait is how long a request waits for its task to end.
	maxWait = 30 * time.Minute
	// cancelWait is how long a cancel waits to be heard.
	cancelWait = 5 * time.Second
	// How long a new stream waits for its first output before it begins: until then a task
	// that fails is answered with a status of its own.
	holdResponse = 2 * time.Second
	holdChat     = 10 * time.Second
)

// within is the context of a wait: it ends with the request, with the server, with the
// proof of who asks, and after a time.
func (d *Door) within(c *gin.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if expires := identityOf(c).Expires; !expires.IsZero() {
		wait = min(wait, time.Until(expires))
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	stop := context.AfterFunc(d.draining, cancel)
	return ctx, func() { stop(); cancel() }
}

// task gets a task of the asking user by its id; one that is not known yet is looked for up
// to where the lanes end now.
func (d *Door) task(ctx context.Context, who auth.Identity, id, prefix string) (taskview.Task, error) {
	missing := notFound("there is no object " + quote(id) + "; it may have been deleted, or be another user's")
	if schemas.CheckTaskID(id) != "" || len(id) <= len(prefix) || id[:len(prefix)] != prefix {
		return taskview.Task{}, missing
	}
	key := schemas.TaskKey{TaskID: id}
	if !who.Admin {
		key.UserID = who.User
	}
	task, err := d.look(ctx, key)
	if errors.Is(err, taskview.ErrNotFound) {
		return taskview.Task{}, missing
	}
	if err != nil {
		return taskview.Task{}, viewProblem(err)
	}
	if len(task.Record) == 0 || d.deleted(task.Key()) {
		return taskview.Task{}, missing
	}
	return task, nil
}

func (d *Door) look(ctx context.Context, key schemas.TaskKey) (taskview.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return d.config.View.Find(ctx, key) //nolint:wrapcheck // viewProblem compares it
}

// deleted reports whether the object of a task was deleted.
func (d *Door) deleted(key schemas.TaskKey) bool {
	cancel, is := d.config.Tasks.Cancelled(key.UserID, key.TaskID)
	return is && cancel.Deleted
}

// wait waits until the task has ended, and gets it.
func (d *Door) wait(c *gin.Context, key schemas.TaskKey) (taskview.Task, error) {
	control := http.NewResponseController(httpedge.BareWriter(c.Writer))
	_ = control.SetWriteDeadline(time.Time{})
	ctx, cancel := d.within(c, maxWait)
	defer cancel()
	_, err := d.config.View.Wait(ctx, key)
	_ = control.SetWriteDeadline(time.Now().Add(writeLimit))
	var lost *taskview.LostError
	switch {
	case errors.As(err, &lost):
		return taskview.Task{}, faultOf(&schemas.Event{Status: schemas.Lost, Error: lost.Error()}).problem(key.TaskID)
	case err != nil && c.Request.Context().Err() != nil:
		return taskview.Task{}, err // the client is gone
	case err != nil && ctx.Err() != nil:
		p := httpedge.Unavailable("the answer is not there yet and this server stops waiting for it; the task goes on: " +
			"send the request again with the same Idempotency-Key, or look at /v1/tasks/" + key.TaskID + "/result")
		p.TaskID = key.TaskID
		return taskview.Task{}, p
	case err != nil:
		return taskview.Task{}, viewProblem(err)
	}
	reading, stop := context.WithTimeout(c.Request.Context(), lookTimeout)
	defer stop()
	task, err := d.look(reading, key)
	if err == nil && len(task.Record) == 0 { // its end is known, and the database does not answer in time
		err = taskview.ErrNotReady
	}
	if err != nil {
		return taskview.Task{}, viewProblem(err)
	}
	return task, nil
}

// whole is a terminal event with its result, wherever that is kept. A large one has its part
// of the door's room until ctx ends.
func (d *Door) whole(ctx context.Context, e *schemas.Event) (*schemas.Event, error) {
	if e.ResultArtifact == nil || !e.Terminal() {
		return e, nil
	}
	size := min(max(e.ResultArtifact.Size, 1), resultRoom)
	if err := d.results.Acquire(ctx, size); err != nil {
		return nil, httpedge.Unavailable("too many large results are being answered; try again")
	}
	context.AfterFunc(ctx, func() { d.results.Release(size) })
	result, err := d.config.Result(ctx, e.Key(), e.ResultArtifact)
	if err != nil {
		return nil, err
	}
	with := *e
	with.Result, with.ResultArtifact = result, nil
	return &with, nil
}

// resultOf is the result of a task that has completed.
func (d *Door) resultOf(ctx context.Context, task *taskview.Task) (jsontext.Value, error) {
	e, err := d.whole(ctx, &schemas.Event{
		Kind: schemas.KindState, Status: task.Status, UserID: task.UserID, TaskID: task.TaskID, Result: task.Result,
		ResultArtifact: task.ResultArtifact,
	})
	if err != nil {
		return nil, err
	}
	return e.Result, nil
}

// replay takes a task that has ended through a fold, and gives its last event. The result is
// that of the task, which was read before.
func (d *Door) replay(
	ctx context.Context, task *taskview.Task, result jsontext.Value, f fold,
) (last *schemas.Event, _ error) {
	watch, err := d.config.View.Watch(task)
	if err != nil {
		return nil, viewProblem(err)
	}
	defer watch.Close()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for !f.ended() {
		events, err := watch.Next(ctx)
		if err != nil {
			return nil, viewProblem(err)
		}
		for _, e := range events {
			last = e.Event
			if last.ResultArtifact != nil {
				with := *last
				with.Result, last = result, &with
			}
			f.take(last)
		}
	}
	return last, nil
}

// endOf is the event by which a task has ended, which says more of a provider's error than the
// task does; what the task says where the event is not to be had.
func (d *Door) endOf(ctx context.Context, task *taskview.Task) *schemas.Event {
	said := &schemas.Event{Kind: schemas.KindState, Status: task.Status, ErrorCode: task.ErrorCode, Error: task.Error}
	watch, err := d.config.View.Watch(task)
	if err != nil || task.Status == schemas.Lost {
		return said
	}
	defer watch.Close()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return said
		}
		if last := events[len(events)-1].Event; last.Terminal() {
			return last
		}
	}
}

// resultGone is the code of a response whose result is not kept any more.
const resultGone = "result_gone"

// streaming is a stream that is being written.
type streaming struct {
	fold fold
	out  *sse
	// skip is how many frames the client has already.
	skip int64
	held []frame
	// fresh says that the request that made the task waits for the stream: a task that fails
	// before any output is answered with a status.
	fresh bool
	spoke bool // an event with output has come
}

// stream writes the stream of a task to its end. hold is how long it may wait with the
// headers.
func (d *Door) stream(c *gin.Context, task *taskview.Task, s *streaming, hold time.Duration) error {
	watch, err := d.config.View.Watch(task)
	if err != nil {
		return viewProblem(err)
	}
	defer watch.Close()
	s.out = newSSE(c)
	ctx, cancel := d.within(c, 24*time.Hour)
	defer cancel()
	s.keep(s.fold.begin())
	s.fresh = hold > 0
	for !s.fold.ended() {
		if !s.out.opened && hold <= 0 {
			if err := s.flush(); err != nil {
				return nil //nolint:nilerr // the client is gone
			}
		}
		tick := keepAlive
		if !s.out.opened {
			tick = hold
		}
		waiting, stop := context.WithTimeout(ctx, tick)
		events, err := watch.Next(waiting)
		late := waiting.Err() != nil
		stop()
		var lost *taskview.LostError
		switch {
		case errors.As(err, &lost):
			events = []taskview.LoggedEvent{{Event: &schemas.Event{
				Kind: schemas.KindState, Status: schemas.Failed, Error: lost.Error(),
			}}}
		case err != nil && ctx.Err() == nil && late:
			if hold = 0; s.out.opened && s.out.comment() != nil {
				return nil // the client is gone
			}
			continue
		case err != nil:
			return s.broken(c, err)
		}
		if err := s.take(ctx, d, events); err != nil {
			return s.broken(c, err)
		}
		if s.spoke || s.fold.ended() || s.out.opened {
			if err := s.flush(); err != nil {
				return nil //nolint:nilerr // the client is gone
			}
		}
	}
	return nil
}

// broken ends a stream that cannot go on here. One that has begun is cut off, not ended: a
// client that reads an end would take what it has for everything.
func (s *streaming) broken(c *gin.Context, err error) error {
	if s.out.opened && c.Request.Context().Err() == nil {
		panic(http.ErrAbortHandler)
	}
	if c.Request.Context().Err() != nil {
		return nil //nolint:nilerr // the client is gone
	}
	if httpedge.ProblemOf(err) != nil {
		return err
	}
	return viewProblem(err)
}

func (s *streaming) take(ctx context.Context, d *Door, events []taskview.LoggedEvent) error {
	for _, logged := range events {
		e, err := d.whole(ctx, logged.Event)
		if p := httpedge.ProblemOf(err); p != nil && p.Status == http.StatusGone {
			// It will not come back: the stream says so and ends, or clients would resume it for ever.
			with := *logged.Event
			with.Status, with.ResultArtifact, with.Error, with.ErrorCode = schemas.Failed, nil, p.Detail, resultGone
			e, err = &with, nil
		}
		if err != nil {
			return err
		}
		if e.Terminal() && e.Status != schemas.Completed && s.fresh && !s.out.opened && !s.spoke &&
			e.ErrorCode != schemas.CodeCancelled {
			return faultOf(e).problem(e.TaskID)
		}
		s.spoke = s.spoke || e.Kind == schemas.KindOutput
		s.keep(s.fold.take(e))
	}
	return nil
}

// keep adds frames to those that are to be written, but for those that the client has.
func (s *streaming) keep(frames []frame) {
	for _, f := range frames {
		if s.skip > 0 {
			s.skip--
			continue
		}
		s.held = append(s.held, f)
	}
}

func (s *streaming) flush() error {
	held := s.held
	s.held = nil
	if len(held) == 0 && s.out.opened {
		return nil
	}
	return s.out.put(held)
}
