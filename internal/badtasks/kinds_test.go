package badtasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/schemas"
)

// small are the cases that a test can change and judge thousands of times.
func small() []Case {
	return slices.DeleteFunc(All(), func(c Case) bool { return len(c.Value) > MaxFileBytes })
}

// judge decodes a value and holds the refusal to what every refusal has to be.
func judge(t interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}, value []byte) (task *schemas.Task, _ *schemas.InvalidTaskError) {
	t.Helper()
	var err error
	if took := rapidtest.CPU(t, func() { task, err = schemas.DecodeTask(value) }); took > 5*time.Second {
		t.Fatalf("%d bytes took %v", len(value), took)
	}
	if err == nil {
		return task, nil
	}
	var invalid *schemas.InvalidTaskError
	if !errors.As(err, &invalid) || task != nil {
		t.Fatalf("%.100q: task %v, error %v", value, task, err)
	}
	text := invalid.Error()
	if len(text) > 700 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\n\r\x1b") {
		t.Fatalf("%.100q: the refusal does not fit a header: %q", value, text)
	}
	return nil, invalid
}

// TestChangedCasesAreJudged: one byte more, less or another makes of a case whatever it makes;
// it is a task that can be written again, or is refused in a sentence.
func TestChangedCasesAreJudged(t *testing.T) {
	cases := small()
	rapid.Check(t, func(t *rapid.T) {
		value := bytes.Clone(rapid.SampledFrom(cases).Draw(t, "case").Value)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			if len(value) == 0 {
				break
			}
			at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
			b := rapid.SampledFrom([]byte("{}[]\",:\\ntu0-9.eE \x00\xff\x1b")).Draw(t, "byte")
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				value[at] = b
			case 1:
				value = slices.Delete(value, at, at+1)
			case 2:
				value = slices.Insert(value, at, b)
			case 3:
				value = value[:at]
			}
		}
		task, _ := judge(t, value)
		if task == nil {
			return
		}
		encoded, err := task.Encode()
		if err != nil {
			t.Fatalf("%.100q passes and cannot be written: %v", value, err)
		}
		if again, err := schemas.DecodeTask(encoded); err != nil || again.Key() != task.Key() {
			t.Fatalf("%.100q is written as %.100q, which is %v", value, encoded, err)
		}
	})
}

// TestCutCasesAreNeverTakenForAnother: what is cut off names the task that it is of, or none.
func TestCutCasesAreNeverTakenForAnother(t *testing.T) {
	for _, c := range small() {
		for cut := range c.Value {
			_, invalid := judge(t, c.Value[:cut])
			if invalid == nil || !invalid.Identified() {
				continue
			}
			if key := invalid.Task.Key(); c.Identified && key != (schemas.TaskKey{UserID: UserID, TaskID: TaskID(c.Name)}) &&
				c.Name != "user-200-multibyte" {
				t.Fatalf("%s, cut to %d bytes, is taken for %s", c.Name, cut, key)
			}
		}
	}
}

// TestValidCasesRoundTrip: what is run is written as it came, but for white space.
func TestValidCasesRoundTrip(t *testing.T) {
	for _, c := range All() {
		if !c.Valid {
			continue
		}
		task, _ := judge(t, c.Value)
		if task == nil {
			t.Errorf("%s is refused", c.Name)
			continue
		}
		encoded, err := task.Encode()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		again, _ := judge(t, encoded)
		if again == nil || again.Key() != task.Key() || !slices.Equal(sortedNames(again), sortedNames(task)) {
			t.Errorf("%s is another when it is read again", c.Name)
		}
		if unsupported := task.Unsupported(); unsupported != "" {
			t.Errorf("%s uses %s, which no version runs", c.Name, unsupported)
		}
	}
}

func sortedNames(t *schemas.Task) []string {
	names := t.UnknownFields()
	slices.Sort(names)
	return names
}

// TestEachMemberIsThere: every member that a task can have is wrong in some case, so that
// whatever is added gets one.
func TestEachMemberIsThere(t *testing.T) {
	wrong := map[string]bool{}
	for _, c := range All() {
		if !c.Valid {
			field, _, _ := strings.Cut(c.Field, ".")
			wrong[c.Field], wrong[field] = true, true
		}
	}
	for _, field := range schemas.TaskFields() {
		if !wrong[field] && !strings.HasPrefix(field, "unique") {
			t.Errorf("no case is wrong in %s", field)
		}
	}
}

// TestCasesAreFresh: whoever changes a value spoils it for nobody.
func TestCasesAreFresh(t *testing.T) {
	first, second := All(), All()
	for i := range first {
		if !bytes.Equal(first[i].Value, second[i].Value) || first[i].Name != second[i].Name {
			t.Fatalf("%s differs from call to call", first[i].Name)
		}
		clear(first[i].Value)
	}
	for i, c := range All() {
		if !bytes.Equal(c.Value, second[i].Value) {
			t.Fatalf("%s was changed by another's hands", c.Name)
		}
	}
}

// TestLargeCasesAreLargeOnPurpose: few, together within what the comment says.
func TestLargeCasesAreLargeOnPurpose(t *testing.T) {
	total, beyond := 0, 0
	for _, c := range All() {
		total += len(c.Value)
		if len(c.Value) > MaxFileBytes {
			beyond++
		}
	}
	if total > 12<<20 || beyond < 10 {
		t.Errorf("%d bytes in all, %d cases that are too large for a file", total, beyond)
	}
}

// TestIndexNamesWhatIsInTheFiles: a program in another language that goes by index.json alone
// sees the cases of this package.
func TestIndexNamesWhatIsInTheFiles(t *testing.T) {
	byName := map[string]Case{}
	for _, c := range small() {
		byName[c.Name] = c
	}
	var index []entry
	if err := json.Unmarshal(mustRead(t, "index.json"), &index); err != nil {
		t.Fatal(err)
	}
	if len(index) != len(byName) {
		t.Errorf("%d entries for %d cases", len(index), len(byName))
	}
	for _, e := range index {
		c, ok := byName[e.Name]
		if !ok || c.Valid != e.Valid || c.Identified != e.Identified || c.Field != e.Field {
			t.Errorf("%s: %+v, want %+v", e.Name, e, c)
		}
		if !bytes.Equal(mustRead(t, e.File), c.Value) {
			t.Errorf("%s has other bytes", e.File)
		}
		if e.Valid && (!e.Identified || e.Field != "") {
			t.Errorf("%s is run, and wrong in %q", e.Name, e.Field)
		}
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
