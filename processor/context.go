package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Reporter takes an event of a running task: Kind and the payload of that kind
// are set, the reporter fills in the rest. It may block while the journal is
// behind, and fails once the task has ended or its context has.
type Reporter func(ctx context.Context, event *schemas.Event) error

// Context is what a handler knows of its task and how it speaks to the task's
// user. It is safe for concurrent use and must not be kept after the handler
// has returned: by then reports fail.
type Context struct {
	// Set by NewContext, not changed after.
	task        *schemas.Task
	lane        string
	attempt     int
	report      Reporter
	heartbeat   func()
	base        *slog.Logger
	traceparent string
	remembered  map[string]jsontext.Value
	grant       Grant
	submit      Submitter
	soft, hard  time.Time

	outputs   atomic.Int64
	submitted atomic.Int64
	files     openFiles

	mu     sync.Mutex
	totals totals
	steps  steps
	copied *schemas.Task // for the first who asks, as the logger is
	logger *slog.Logger  // made for the first who asks
}

// ContextOption sets what not every context has.
type ContextOption func(*Context)

// WithLogger is where [Context.Logger] writes; nowhere if not given.
func WithLogger(l *slog.Logger) ContextOption { return func(c *Context) { c.base = l } }

// WithTraceparent is the trace the task belongs to, as its record's traceparent
// header has it.
func WithTraceparent(header string) ContextOption { return func(c *Context) { c.traceparent = header } }

// WithHeartbeat is what [Context.Heartbeat] calls. It must not block.
func WithHeartbeat(touch func()) ContextOption { return func(c *Context) { c.heartbeat = touch } }

// WithCheckpoints are the checkpoints of the task's earlier attempts, by name,
// for [Step]. The map must not be changed any more.
func WithCheckpoints(results map[string]jsontext.Value) ContextOption {
	return func(c *Context) { c.remembered = results }
}

// WithDeadlines are what [Context.Deadlines] gives.
func WithDeadlines(soft, hard time.Time) ContextOption {
	return func(c *Context) { c.soft, c.hard = soft, hard }
}

// WithGrant is what [Context.Grant] gives.
func WithGrant(g Grant) ContextOption { return func(c *Context) { c.grant = g } }

// NewContext is the context of one attempt of a task. Handlers are given one;
// tests of services use package processortest, or make their own.
func NewContext(task *schemas.Task, lane string, attempt int, report Reporter, options ...ContextOption) *Context {
	c := &Context{task: task, lane: lane, attempt: attempt, report: report}
	for _, set := range options {
		set(c)
	}
	return c
}

// Task is a copy of the task as it was sent, the same with every call. What a handler
// changes there changes nothing else.
func (c *Context) Task() *schemas.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copied == nil {
		c.copied = c.task.Clone()
	}
	return c.copied
}

// Lane is the lane the task runs in, for example "fast".
func (c *Context) Lane() string { return c.lane }

// Attempt counts the starts of the task, from 1.
func (c *Context) Attempt() int { return c.attempt }

// Deadlines are when the attempt reaches its soft time limit, at which its context ends, and its time limit, at which
// it is given up. Zero times are none.
func (c *Context) Deadlines() (soft, hard time.Time) { return c.soft, c.hard }

// Grant is what the service's [Service.Admit] let the attempt in with, nil if it has none.
func (c *Context) Grant() Grant { return c.grant }

// Input decodes the task's input_data into v, which should be a pointer to a
// struct. Members that v does not have are ignored. The error is an
// [*InputError].
func (c *Context) Input(v any) error { return decodeMember("input_data", c.task.InputData, v) }

// Options decodes the task's context member into v, like [Context.Input].
func (c *Context) Options(v any) error { return decodeMember("context", c.task.Context, v) }

// Traceparent is the trace the task belongs to, in the form of the W3C header of
// that name, to be sent along with requests; "" if there is none.
func (c *Context) Traceparent() string { return c.traceparent }

// Logger writes to the processor's own log, which the task's user does not see,
// with the task's ids.
func (c *Context) Logger() *slog.Logger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.logger == nil {
		c.logger = c.newLogger()
	}
	return c.logger
}

func (c *Context) newLogger() *slog.Logger {
	if c.base == nil {
		return slog.New(slog.DiscardHandler)
	}
	t := c.task
	args := []any{
		"task_id", t.TaskID, "user_id", t.UserID, "service", t.Mode + "/" + t.Service,
		"task_name", t.TaskName, "attempt", c.attempt,
	}
	// 00-<trace id>-<parent id>-<flags>
	if parts := strings.Split(c.traceparent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
		args = append(args, "trace_id", parts[1])
	}
	return c.base.With(args...)
}

// Artifacts keeps the files of tasks, by the hash of their content (docs/ARTIFACTS.md). Users are those of
// tasks; an error that may pass is marked with [Retryable].
type Artifacts interface {
	// Open opens a file that a user may read. The error is [ErrNoArtifact] if there is none.
	Open(ctx context.Context, user, hash string) (io.ReadSeekCloser, schemas.Artifact, error)
	// Create begins a file of a user.
	Create(user string) (ArtifactUpload, error)
}

// ArtifactUpload is a file that is being stored, for one goroutine. It must be closed; what was not
// committed by then is gone.
type ArtifactUpload interface {
	io.Writer
	// Commit stores the file. It is kept as long as any, and longer by more.
	Commit(ctx context.Context, name, mediaType string, more time.Duration) (schemas.Artifact, error)
	Close()
}

var (
	// ErrNoArtifact says that the user has no such file, or that it has expired.
	ErrNoArtifact = errors.New("the user has no such artifact, or it has expired")
	// ErrNoArtifacts says that this processor has no store of files in common with the API.
	ErrNoArtifacts = errors.New("this processor has no artifacts in common with the API: " +
		"give both the same --artifacts-dir, or --artifacts-bucket")
)

// WithArtifacts is where [Context.OpenArtifact] and [Context.CreateArtifact] find and put files; without it
// they fail.
func WithArtifacts(a Artifacts) ContextOption { return func(c *Context) { c.files.store = a } }

// openFiles are what an attempt has opened and not closed: a service that forgets to must keep no room of
// the task's user.
type openFiles struct {
	store Artifacts

	mu    sync.Mutex
	ended bool
	open  map[io.Closer]bool
}

var errAttemptOver = errors.New("the attempt is over")

// add takes in what is open; it is closed at once if the attempt is over.
func (f *openFiles) add(file io.Closer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		_ = file.Close()
		return errAttemptOver
	}
	if f.open == nil {
		f.open = map[io.Closer]bool{}
	}
	f.open[file] = true
	return nil
}

func (f *openFiles) remove(file io.Closer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, file)
}

// end closes what is open, and all that comes later.
func (f *openFiles) end() {
	f.mu.Lock()
	open := f.open
	f.open, f.ended = nil, true
	f.mu.Unlock()
	for file := range open {
		_ = file.Close()
	}
}

// OpenArtifact opens a file that the task names in its input, {"artifact": HASH, …}, and says what it is:
// what the input says of it may be wrong. Only files of the task's user can be opened. One that the user
// does not have is an [*InputError]. A file that is damaged ends with an error where it is read to its
// end. The file is for one goroutine. It should be closed, and is at the end of the attempt.
func (c *Context) OpenArtifact(ctx context.Context, named schemas.Artifact) (*ArtifactFile, error) {
	if c.files.store == nil {
		return nil, ErrNoArtifacts
	}
	from, info, err := c.files.store.Open(ctx, c.task.UserID, named.Hash)
	if errors.Is(err, ErrNoArtifact) {
		return nil, &InputError{Member: "input_data", Problem: fmt.Sprintf("names artifact %.64q: %v", named.Hash, err)}
	}
	if err != nil {
		return nil, fmt.Errorf("open artifact: %w", err)
	}
	file := &ArtifactFile{Artifact: info, from: from, files: &c.files}
	if err := c.files.add(file); err != nil {
		return nil, fmt.Errorf("open artifact: %w", err)
	}
	return file, nil
}

// ArtifactFile is an opened file.
type ArtifactFile struct {
	// Artifact is its hash, name, type and size.
	Artifact schemas.Artifact

	mu    sync.Mutex
	from  io.ReadSeekCloser
	files *openFiles
}

// Read reads what comes next.
func (f *ArtifactFile) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from.Read(p) //nolint:wrapcheck // an io.Reader's error, which its reader compares
}

// Seek says where to read on.
func (f *ArtifactFile) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from.Seek(offset, whence) //nolint:wrapcheck // it stands in for the store's
}

// Close ends reading.
func (f *ArtifactFile) Close() error {
	f.files.remove(f)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from.Close() //nolint:wrapcheck // it stands in for the store's
}

// CreateArtifact begins a file of the task's user. What is written goes to disk as it comes, and is stored
// by [ArtifactWriter.Commit]. The name is for people and has no directory; it and the media type may be empty.
func (c *Context) CreateArtifact(name, mediaType string) (*ArtifactWriter, error) {
	if c.files.store == nil {
		return nil, ErrNoArtifacts
	}
	upload, err := c.files.store.Create(c.task.UserID)
	if err != nil {
		return nil, fmt.Errorf("create artifact: %w", err)
	}
	w := &ArtifactWriter{name: name, kind: mediaType, upload: upload, files: &c.files}
	if err := c.files.add(w); err != nil {
		return nil, fmt.Errorf("create artifact: %w", err)
	}
	return w, nil
}

// ArtifactWriter is a file that is being written. It should be closed, and is at the end of the attempt;
// what was not committed by then is gone.
type ArtifactWriter struct {
	name, kind string
	files      *openFiles

	mu     sync.Mutex
	upload ArtifactUpload // nil once it is closed
}

var errClosed = errors.New("the artifact is closed")

// Write adds to the file.
func (w *ArtifactWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.upload == nil {
		return 0, errClosed
	}
	n, err := w.upload.Write(p)
	if err != nil {
		return n, fmt.Errorf("write artifact: %w", err)
	}
	return n, nil
}

// Commit stores the file. What it returns stands for the file in results: it can be read by the task's
// user from then on. Nothing can be written any more.
func (w *ArtifactWriter) Commit(ctx context.Context) (schemas.Artifact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.upload == nil {
		return schemas.Artifact{}, errClosed
	}
	stored, err := w.upload.Commit(ctx, w.name, w.kind, 0)
	if err != nil {
		return schemas.Artifact{}, fmt.Errorf("store artifact: %w", err)
	}
	w.upload.Close()
	w.upload = nil
	w.files.remove(w)
	return stored, nil
}

// Close gives the file up, unless it was committed.
func (w *ArtifactWriter) Close() error {
	w.files.remove(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.upload != nil {
		w.upload.Close()
		w.upload = nil
	}
	return nil
}
