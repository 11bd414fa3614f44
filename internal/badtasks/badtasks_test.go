package badtasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/schemas"
)

var update = flag.Bool("update", false, "write the files under schemas/testdata/bad")

const folder = "../../schemas/testdata/bad"

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

func TestEveryCaseIsJudgedAsItSays(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			var task *schemas.Task
			var err error
			spent := rapidtest.CPU(t, func() { task, err = schemas.DecodeTask(c.Value) })
			if spent > 2*time.Second {
				t.Errorf("took %v for %d bytes", spent, len(c.Value))
			}
			if c.Valid {
				if err != nil || task == nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var invalid *schemas.InvalidTaskError
			if !errors.As(err, &invalid) {
				t.Fatalf("got task %v, error %v; want an InvalidTaskError", task, err)
			}
			checkRefusal(t, c, invalid)
		})
	}
}

func checkRefusal(t *testing.T, c Case, invalid *schemas.InvalidTaskError) {
	t.Helper()
	if invalid.Field != c.Field {
		t.Errorf("names the member %q, want %q: %v", invalid.Field, c.Field, invalid)
	}
	if invalid.Identified() != c.Identified {
		t.Errorf("Identified() = %v, want %v: %v", invalid.Identified(), c.Identified, invalid)
	}
	if c.Identified && (invalid.Task.TaskID != TaskID(c.Name) || invalid.Task.UserID != UserID) {
		t.Errorf("identified as %q of %q", invalid.Task.TaskID, invalid.Task.UserID)
	}
	if text := invalid.Error(); len(text) > 600 || !utf8.ValidString(text) || len(invalid.Problem) < 15 {
		t.Errorf("the message is no sentence for an event and a header: %q", text)
	}
	if task := invalid.Task; task != nil {
		for _, name := range []string{task.TaskName, task.Mode, task.Service} {
			if utf8.RuneCountInString(name) > 203 {
				t.Errorf("a name of %d bytes does not fit an event", len(name))
			}
		}
	}
}

func TestNamesAreUniqueAndMany(t *testing.T) {
	seen := make(map[string]bool)
	bad := 0
	for _, c := range All() {
		if seen[c.Name] || !regexp.MustCompile(`^[a-z0-9-]{1,60}$`).MatchString(c.Name) {
			t.Errorf("the name %q is taken or malformed", c.Name)
		}
		seen[c.Name] = true
		if !c.Valid {
			bad++
		}
	}
	if bad < 100 {
		t.Errorf("%d bad cases, want 100 or more", bad)
	}
}

// entry is a line of index.json.
type entry struct {
	Name       string `json:"name"`
	File       string `json:"file"`
	Valid      bool   `json:"valid"`
	Identified bool   `json:"identified"`
	Field      string `json:"field"`
}

func TestFilesAreUpToDate(t *testing.T) {
	var index []entry
	files := make(map[string][]byte)
	for _, c := range All() {
		if len(c.Value) > MaxFileBytes {
			continue
		}
		e := entry{c.Name, c.Name + ".bin", c.Valid, c.Identified, c.Field}
		index = append(index, e)
		files[e.File] = c.Value
	}
	encoded, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	files["index.json"] = append(encoded, '\n')
	if *update {
		writeFiles(t, files)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs (%v); run go test ./internal/badtasks -update", name, err)
		}
	}
	if found, err := os.ReadDir(folder); err != nil || len(found) != len(files) {
		t.Errorf("%d files (%v), want %d; run go test ./internal/badtasks -update", len(found), err, len(files))
	}
}

func writeFiles(t *testing.T, files map[string][]byte) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(folder, name), value, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
