package processor_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

// countWords reads the file that a task names and makes another one; it forgets to close a third.
func countWords(
	ctx context.Context, c *processor.Context, in struct{ File schemas.Artifact },
) (schemas.Artifact, error) {
	file, err := c.OpenArtifact(ctx, in.File)
	if err != nil {
		return schemas.Artifact{}, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return schemas.Artifact{}, err
	}
	if _, err := c.CreateArtifact("forgotten", ""); err != nil {
		return schemas.Artifact{}, err
	}
	made, err := c.CreateArtifact("words.txt", "text/plain")
	if err != nil {
		return schemas.Artifact{}, err
	}
	if _, err := io.WriteString(made, strings.Join(strings.Fields(string(text)), "\n")); err != nil {
		return schemas.Artifact{}, err
	}
	return made.Commit(ctx)
}

// TestTasksTakeAndMakeFiles of their user, and of nobody else.
func TestTasksTakeAndMakeFiles(t *testing.T) {
	w := newWorld(t)
	files := new(processortest.Artifacts)
	mine := files.Put("user-1", "in.txt", "text/plain", []byte("some words  here"))
	other := files.Put("somebody", "in.txt", "text/plain", []byte("a secret"))
	w.start(func(c *processor.Config) { c.Artifacts = files },
		handlers(map[string]processor.Handler{"count": processor.Method(countWords)}))
	for id, hash := range map[string]string{
		"mine": mine.Hash, "other": other.Hash, "none": strings.Repeat("0", 64), "bad": "../x",
	} {
		w.send(schemas.LaneFast, task(id, "count", `"input_data":{"File":{"artifact":"`+hash+`"}}`))
	}
	end := w.end("mine")
	made := files.Put("user-1", "words.txt", "text/plain", []byte("some\nwords\nhere"))
	if end.Status != schemas.Completed || !strings.Contains(string(end.Result), made.Hash) {
		t.Errorf("ended %s with %s: %s", end.Status, end.Result, end.Error)
	}
	for _, id := range []string{"other", "none", "bad"} {
		end := w.end(id)
		if end.Status != schemas.Failed || end.ErrorCode != schemas.CodeInvalidTask ||
			!strings.Contains(end.Error, "the user has no such artifact") || strings.Contains(end.Error, "secret") {
			t.Errorf("%s ended %s %s: %s", id, end.Status, end.ErrorCode, end.Error)
		}
	}
	if n := files.NotClosed(); n != 0 {
		t.Errorf("%d files were left open", n)
	}
}

// TestLargeResultsGoToTheStore, and small ones, and all where there is none, into the event.
func TestLargeResultsGoToTheStore(t *testing.T) {
	repeat := func(_ context.Context, _ *processor.Context, in struct{ N int }) (string, error) {
		return strings.Repeat("x", in.N-2), nil
	}
	service := handlers(map[string]processor.Handler{"repeat": processor.Method(repeat)})
	files := new(processortest.Artifacts)
	for _, tt := range []struct {
		name          string
		store         processor.Artifacts
		bytes         string
		stored, fails bool
	}{
		{"small", files, "262144", false, false}, {"large", files, "262145", true, false},
		{"huge", files, "9000000", true, false},
		{"too large", files, "33554433", false, true}, {"no-store", nil, "1048576", false, false},
		{"no-store-too-large", nil, "1048577", false, true},
		{"broken", brokenStore{}, "1048576", false, false}, {"broken-too-large", brokenStore{}, "1048577", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.start(func(c *processor.Config) { c.Artifacts = tt.store }, service)
			w.send(schemas.LaneFast, task("t1", "repeat", `"input_data":{"N":`+tt.bytes+`}`, `"retry":{"max_attempts":1}`))
			end := w.end("t1")
			want := `"` + strings.Repeat("x", atoi(tt.bytes)-2) + `"`
			switch {
			case tt.fails:
				if end.Status != schemas.Failed || len(end.Result) > 0 || end.ResultArtifact != nil {
					t.Errorf("ended %s: %s", end.Status, end.Error)
				}
			case tt.stored:
				ref := end.ResultArtifact
				if end.Status != schemas.Completed || len(end.Result) > 0 || ref == nil || ref.Size != int64(len(want)) ||
					ref.Type != "application/json" {
					t.Fatalf("ended %s: %s, %+v", end.Status, end.Error, ref)
				}
				if got := string(files.Content("user-1", ref.Hash)); got != want {
					t.Errorf("stored are %d bytes", len(got))
				}
			default:
				if end.Status != schemas.Completed || string(end.Result) != want || end.ResultArtifact != nil {
					t.Errorf("ended %s with %d bytes: %s", end.Status, len(end.Result), end.Error)
				}
			}
			if n := files.NotClosed(); n != 0 {
				t.Errorf("%d files were left open", n)
			}
		})
	}
}

func atoi(text string) (n int) {
	for _, digit := range text {
		n = 10*n + int(digit-'0')
	}
	return n
}

// brokenStore does not answer.
type brokenStore struct{}

func (brokenStore) Open(context.Context, string, string) (io.ReadSeekCloser, schemas.Artifact, error) {
	return nil, schemas.Artifact{}, errors.New("the store is away")
}

func (brokenStore) Create(string) (processor.ArtifactUpload, error) { return brokenUpload{}, nil }

type brokenUpload struct{}

func (brokenUpload) Write(p []byte) (int, error) { return len(p), nil }
func (brokenUpload) Close()                      {}
func (brokenUpload) Commit(context.Context, string, string, time.Duration) (schemas.Artifact, error) {
	return schemas.Artifact{}, processor.Retryable(errors.New("the store is away"))
}

// TestServicesWithFilesAreTestedWithoutKafka.
func TestServicesWithFilesAreTestedWithoutKafka(t *testing.T) {
	files := new(processortest.Artifacts)
	in := files.Put("u-1", "in.txt", "", []byte("a b"))
	service := processor.Service{Mode: "m", Name: "s", Methods: map[string]processor.Handler{
		"count": processor.Method(countWords)}}
	task := processortest.Task("count", map[string]any{"File": in})
	got := processortest.Run(t, service, task, processortest.WithArtifacts(files))
	if got.Status() != schemas.Completed {
		t.Fatalf("ended %s", got.Status())
	}
	if n := files.NotClosed(); n != 0 {
		t.Errorf("%d files are open", n)
	}
	without := processortest.Run(t, service, task)
	if without.Status() != schemas.Failed || !strings.Contains(without.End.Error, "--artifacts-dir") {
		t.Errorf("without a store it ended %s: %s", without.Status(), without.End.Error)
	}
}
