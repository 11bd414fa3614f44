package textanalyzer

import (
	"context"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// sharedLibrary is read once for all tests; it is immutable.
var sharedLibrary = sync.OnceValues(loadLibrary)

func testLibrary(t testing.TB) *library {
	t.Helper()
	lib, err := sharedLibrary()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func docOf(t testing.TB, text string) *document {
	t.Helper()
	doc, err := newDocument(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func silent(context.Context, *schemas.Event) error { return nil }

// taskOf is a task with the given name, input_data and context.
func taskOf(t testing.TB, name string, input, options any) *processor.Context {
	t.Helper()
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: name, Mode: Mode, Service: Name}
	for target, v := range map[*jsontext.Value]any{&task.InputData: input, &task.Context: options} {
		if v == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		*target = b
	}
	return processor.NewContext(task, "fast", 1, silent)
}

func textOf(text string) map[string]any { return map[string]any{"text": text} }
