package batches

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/producer/openai/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a door whose tasks the test ends.
type door struct {
	mu        sync.Mutex
	changed   chan struct{} // closed and made anew with every change
	tasks     map[string]*Answer
	sends     map[string]int // how often a line was sent that was no task yet
	cancelled map[string]bool
	running   int
	most      int
	// say is what a task is answered when it is sent, nil if it is to be ended later.
	say func(number int) *Answer
	// fail is asked before each call.
	fail func() error
}

func newDoor(say func(int) *Answer) *door {
	return &door{changed: make(chan struct{}), tasks: map[string]*Answer{}, sends: map[string]int{},
		cancelled: map[string]bool{}, say: say, fail: func() error { return nil }}
}

func lineKey(b *Batch, number int) string { return fmt.Sprint(b.ID, "/", number) }

func (d *door) change(f func()) {
	d.look(func() {
		f()
		close(d.changed)
		d.changed = make(chan struct{})
	})
}

// look has what the door counts while batches are driven.
func (d *door) look(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *door) Check(_ string, body jsontext.Value) (param, message string) {
	if strings.Contains(string(body), "wrong") {
		return "input", "it is wrong"
	}
	return "", ""
}

func (d *door) Submit(_ context.Context, b *Batch, line Line) error {
	if err := d.fail(); err != nil {
		return err
	}
	if strings.Contains(string(line.Body), "refused") {
		return &RefusedError{Answer{Status: 404, Body: jsontext.Value(`{"error":{}}`)}}
	}
	d.change(func() {
		key := lineKey(b, line.Number)
		if _, there := d.tasks[key]; !there {
			d.sends[key]++
			if d.tasks[key] = d.say(line.Number); d.tasks[key] == nil {
				d.running++
				d.most = max(d.most, d.running)
			}
		}
	})
	return nil
}

func (d *door) Wait(ctx context.Context, b *Batch, number int) error {
	for {
		d.mu.Lock()
		ended, changed := d.tasks[lineKey(b, number)] != nil, d.changed
		d.mu.Unlock()
		if ended {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *door) Cancel(_ context.Context, b *Batch, number int) (there bool, err error) {
	if err := d.fail(); err != nil {
		return false, err
	}
	d.change(func() {
		var answer *Answer
		if answer, there = d.tasks[lineKey(b, number)]; there && answer == nil {
			d.tasks[lineKey(b, number)] = &Answer{Status: 409, Cancelled: true, Body: jsontext.Value(`{}`)}
			d.cancelled[lineKey(b, number)] = true
		}
	})
	return there, nil
}

func (d *door) Answer(_ context.Context, b *Batch, number int) (*Answer, error) {
	if err := d.fail(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tasks[lineKey(b, number)], nil
}

// place is a store with what the package keeps in it.
type place struct {
	t     testing.TB
	store *artifact.Store
	book  *Book
	shelf *files.Shelf
}

func newPlace(t testing.TB) *place {
	t.Helper()
	store, _, err := artifact.New(artifact.Config{Dir: t.TempDir()})
	must(t, err)
	return &place{t, store, NewBook(store), files.New(store)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *place) runner(d Door) *Runner {
	return NewRunner(Config{Book: p.book, Shelf: p.shelf, Artifacts: p.store, Door: d,
		Logger: slog.New(slog.DiscardHandler)})
}

// pause lets the bubble's time go on.
func pause(d time.Duration) { pace.Sleep(context.Background(), d) }

const endpoint = "/v1/responses"

// create makes a batch of lines with these bodies.
func (p *place) create(user string, bodies ...string) *State {
	p.t.Helper()
	upload, err := p.store.Create(user)
	must(p.t, err)
	defer upload.Close()
	for n, body := range bodies {
		_, err := fmt.Fprintf(upload, `{"custom_id":"r%d","method":"POST","url":%q,"body":%s}`+"\n", n+1, endpoint, body)
		must(p.t, err)
	}
	id, err := files.FreshID()
	must(p.t, err)
	file, err := p.shelf.Save(p.t.Context(), user, files.File{ID: id, Filename: "in", Purpose: "batch"}, upload, 0)
	must(p.t, err)
	state, err := p.book.Create(p.t.Context(), Batch{User: user, Endpoint: endpoint, InputFile: file.ID})
	must(p.t, err)
	return state
}

func (p *place) get(s *State) *State {
	p.t.Helper()
	now, err := p.book.Get(p.t.Context(), s.User, s.ID)
	must(p.t, err)
	return now
}

// ended waits until a batch has ended and its runner has let go of it.
func (p *place) ended(s *State) {
	p.t.Helper()
	for range 600 {
		open, err := p.book.open().Names(p.t.Context())
		must(p.t, err)
		if !slices.Contains(open, s.ID) {
			return
		}
		pause(time.Second)
	}
	p.t.Fatalf("the batch has not ended: it is %s", p.get(s).status())
}

// outcomes are the codes and statuses of a file's lines by custom_id.
func (p *place) outcomes(user, id string) map[string]string {
	p.t.Helper()
	if id == "" {
		return nil
	}
	content, err := p.shelf.Open(p.t.Context(), user, id)
	must(p.t, err)
	defer func() { _ = content.Close() }()
	text, err := io.ReadAll(content)
	must(p.t, err)
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var one outcome
		must(p.t, json.Unmarshal([]byte(line), &one))
		switch {
		case one.Error != nil:
			all[one.CustomID] = one.Error.Code
		default:
			all[one.CustomID] = fmt.Sprint(one.Response.StatusCode)
		}
	}
	return all
}

func fine(int) *Answer { return &Answer{Status: 200, Body: jsontext.Value(`{}`)} }

func running(int) *Answer { return nil }

// driven runs a runner until the test has seen enough.
func driven(r *Runner, during func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { r.Run(ctx) })
	during()
	cancel()
	done.Wait()
}

// history is a batch and what befalls it.
type history struct {
	bodies  []string
	stops   []int // seconds after which a runner ends
	failing int   // every such call fails
}

func histories() *rapid.Generator[history] {
	return rapid.Custom(func(t *rapid.T) history {
		bodies := rapid.SampledFrom([]string{`{}`, `{"a":"refused"}`, `{"b":1}`})
		return history{
			rapid.SliceOfN(bodies, 1, 12).Draw(t, "bodies"), rapid.SliceOfN(rapid.IntRange(0, 20), 0, 3).Draw(t, "stops"),
			rapid.IntRange(2, 6).Draw(t, "failing"),
		}
	})
}

// Runners come and go, and calls fail: each line is sent once and has one outcome all the same.
func TestEachLineHasOneOutcome(t *testing.T) {
	for seed := range 10 {
		h := histories().Example(seed)
		synctest.Test(t, func(t *testing.T) { h.play(t) })
	}
}

func (h history) play(t *testing.T) {
	p, d, calls := newPlace(t), newDoor(running), 0
	d.fail = func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if calls++; calls%h.failing == 0 {
			return errors.New("not now")
		}
		return nil
	}
	state := p.create("ada", h.bodies...)
	for _, seconds := range h.stops {
		driven(p.runner(d), func() { pause(time.Duration(seconds) * time.Second) })
	}
	d.change(func() {
		for key, answer := range d.tasks {
			if answer == nil {
				d.tasks[key] = fine(0)
			}
		}
		d.say = fine
	})
	driven(p.runner(d), func() { p.ended(state) })
	now := p.get(state)
	if !now.Ended() || now.status() != statusCompleted {
		t.Fatalf("the batch is %s", now.status())
	}
	got := p.outcomes("ada", now.ended.Output)
	for id, status := range p.outcomes("ada", now.ended.Errors) {
		if _, twice := got[id]; twice {
			t.Errorf("%s has two outcomes", id)
		}
		if got == nil {
			got = map[string]string{}
		}
		got[id] = status
	}
	for n, body := range h.bodies {
		want := "200"
		if strings.Contains(body, "refused") {
			want = "404"
		}
		if id := fmt.Sprint("r", n+1); got[id] != want {
			t.Errorf("%s is %q, want %s", id, got[id], want)
		}
	}
	if len(got) != len(h.bodies) {
		t.Errorf("%d outcomes of %d lines", len(got), len(h.bodies))
	}
	for key, n := range d.sends {
		if n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
	if open, err := p.book.open().Names(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("still open: %v, %v", open, err)
	}
}

// A batch whose time is over is ended: what was not done is cancelled and told.
func TestExpiredBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		d := newDoor(func(number int) *Answer {
			if number == 1 {
				return fine(1)
			}
			return nil
		})
		state := p.create("ada", `{}`, `{}`)
		pause(Window - 10*time.Second)
		driven(p.runner(d), func() { p.ended(state) })
		now := p.get(state)
		o := now.Object(Counts{})
		if o.Status != "expired" || o.ExpiredAt == nil || o.RequestCounts != (Counts{2, 1, 1}) {
			t.Fatalf("the batch is %+v", o)
		}
		if got := p.outcomes("ada", *o.ErrorFileID); got["r2"] != "batch_expired" || len(got) != 1 {
			t.Errorf("errors %v", got)
		}
		if len(d.cancelled) != 1 {
			t.Errorf("cancelled are %v", d.cancelled)
		}
	})
}

// What another instance cancels is found out by the one that drives; one that nobody drives ends too.
func TestCancelledElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		d := newDoor(running)
		state := p.create("ada", `{}`)
		driven(p.runner(d), func() {
			pause(time.Second)
			must(t, p.book.Cancel(t.Context(), p.get(state)))
			if got := p.get(state).status(); got != "cancelling" {
				t.Errorf("it is %s", got)
			}
			p.ended(state)
		})
		if now := p.get(state); now.status() != "cancelled" || now.ended.Failed != 1 {
			t.Errorf("the batch is %s", now.status())
		}
		early := p.create("ada", `{}`)
		must(t, p.book.Cancel(t.Context(), early))
		driven(p.runner(d), func() { p.ended(early) })
		if got := p.get(early).status(); got != "cancelled" || len(d.sends) != 1 {
			t.Errorf("the batch is %s, sent were %v", got, d.sends)
		}
	})
}

// A batch has a window of tasks on the lane, a user has two batches at a time, and another user's do not wait for that.
func TestBatchesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		d := newDoor(running)
		many := make([]string, window+10)
		for n := range many {
			many[n] = `{}`
		}
		p.create("ada", many...)
		p.create("ada", `{}`)
		third, other := p.create("ada", `{}`), p.create("bob", `{}`)
		driven(p.runner(d), func() {
			pause(time.Second)
			d.look(func() {
				if d.most != window+2 {
					t.Errorf("%d tasks were on the lane", d.most)
				}
			})
			if a, b := p.get(third).status(), p.get(other).status(); a != "validating" || b != "in_progress" {
				t.Errorf("ada's third batch is %s, bob's %s", a, b)
			}
		})
	})
}

// Two instances with one store: one drives, the other takes over when it is gone without a word.
func TestTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		d := newDoor(fine)
		state := p.create("ada", `{}`)
		must(t, p.book.claim(t.Context(), &state.Batch, "another", time.Now().Add(leaseTime)))
		driven(p.runner(d), func() {
			pause(leaseTime - time.Second)
			d.look(func() {
				if len(d.sends) > 0 {
					t.Error("it was not left to the other")
				}
			})
			p.ended(state)
		})
		if got := p.get(state).status(); got != "completed" {
			t.Errorf("the batch is %s", got)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"custom_id":"a","method":"POST","url":"/v1/responses","body":{}}`))
	f.Add([]byte("\xef\xbb\xbf{}\r\n\n[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		total, faults, err := inspect(strings.NewReader(string(text)), endpoint,
			func(jsontext.Value) (string, string) { return "", "" })
		if err != nil {
			t.Fatal(err)
		}
		if len(faults) > 0 {
			return
		}
		seen := 0
		must(t, eachLine(strings.NewReader(string(text)), func(number int, line []byte) error {
			if _, fault := parseLine(number, line, endpoint); fault != nil {
				t.Errorf("line %d was in order: %+v", number, fault)
			}
			seen++
			return nil
		}))
		if seen != total || total == 0 {
			t.Errorf("%d lines, %d were counted", seen, total)
		}
	})
}
