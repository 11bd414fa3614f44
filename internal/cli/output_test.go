package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func sampleRow() Row {
	return submitted{TaskID: "t-1", UserID: "alice", Lane: "fast", Status: schemas.Pending, Cursor: "c0"}
}

func TestForms(t *testing.T) {
	for form, want := range map[Form]string{
		FormTable: "TASK_ID  USER_ID  LANE  STATUS\nt-1      alice    fast  pending\n",
		FormLines: `{"task_id":"t-1","user_id":"alice","lane":"fast","status":"pending","cursor":"c0"}` + "\n",
		FormJSON: "{\n  \"task_id\": \"t-1\",\n  \"user_id\": \"alice\",\n  \"lane\": \"fast\",\n  \"status\": " +
			"\"pending\",\n  \"cursor\": \"c0\"\n}\n",
	} {
		var out bytes.Buffer
		if err := (Printer{&out, form}).One(sampleRow()); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", form, out.String(), want)
		}
	}
}

func TestManyRowsShareOneHeader(t *testing.T) {
	var out bytes.Buffer
	if err := (Printer{&out, FormTable}).All([]Row{sampleRow(), sampleRow()}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	out.Reset()
	if err := (Printer{&out, FormLines}).All([]Row{sampleRow(), sampleRow()}); err != nil ||
		strings.Count(out.String(), "\n") != 2 {
		t.Errorf("error %v:\n%s", err, out.String())
	}
	out.Reset()
	if err := (Printer{&out, FormTable}).All(nil); err != nil || out.Len() != 0 {
		t.Errorf("nothing prints %q, error %v", out.String(), err)
	}
}

func TestTextCannotMoveTheCursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + "\x1b[2J\r\n\u202e"
		for _, r := range visible([]string{text})[0] {
			if r < ' ' || r == 0x7f || r == 0x202e {
				t.Fatalf("%q lets %U through", text, r)
			}
		}
	})
}

// brokenPipe takes nothing.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestABrokenPipeIsReported(t *testing.T) {
	for _, form := range []Form{FormTable, FormJSON, FormLines} {
		p := Printer{brokenPipe{}, form}
		if p.One(sampleRow()) == nil || p.Line(sampleRow()) == nil || p.All([]Row{sampleRow()}) == nil {
			t.Errorf("%s: no error", form)
		}
	}
}

func TestEventsSayWhatHappened(t *testing.T) {
	until := schemas.Time{Time: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)}
	for want, event := range map[string]schemas.Event{
		" 50% 1/2 pages": {Progress: &schemas.Progress{Percent: 50, Current: 1, Total: 2, Unit: "pages"}},
		"Once upon":      {Output: &schemas.Output{Text: "Once upon"}},
		"m: 3 tokens in, 4 out": {Kind: schemas.KindUsage,
			Usage: &schemas.Usage{Model: "m", InputTokens: 3, OutputTokens: 4}},
		"m: 3 tokens in, 4 out, $0.000250": {Kind: schemas.KindUsage, Usage: &schemas.Usage{Model: "m", InputTokens: 3,
			OutputTokens: 4, CostPicodollars: new(int64(250_000_000))}},
		"(another attempt: the output so far is void)": {Kind: schemas.KindReset},
		"warn: slow":                   {Log: &schemas.LogLine{Level: "warn", Text: "slow"}},
		"Failed: no such page":         {Message: "Failed", Error: "no such page"},
		`Completed: {"language":"de"}`: {Message: "Completed", Result: jsontext.Value(`{"language":"de"}`)},
		"Executing":                    {Message: "Executing"},
		"Waiting (pause): echo: quota (service/chat/openai, by ops, until 2026-01-31T09:30:00Z)": {
			Message: "Waiting (pause): echo: quota",
			Waiting: &schemas.Waiting{For: "pause", Reason: "quota", Name: "service/chat/openai", By: "ops", Until: &until}},
		"Waiting (time): echo (until 2026-01-31T09:30:00Z)": {
			Message: "Waiting (time): echo", Waiting: &schemas.Waiting{For: "time", Until: &until}},
		"Waiting (limit): echo": {Message: "Waiting (limit): echo", Waiting: &schemas.Waiting{For: "limit"}},
	} {
		if got := (eventRow{client.Event{Event: event}}).what(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// cellsRow is a row of a test.
type cellsRow []string

func (r cellsRow) Columns() []string { return make([]string, len(r)) }
func (r cellsRow) Cells() []string   { return r }

// Columns stand one below the other whatever is in them, and a cell stays on its line.
func TestTablesAreAligned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringOfN(rapid.RuneFrom([]rune("abcé漢\t\n\r\x1b\u202e\x00")), 0, 12, -1)
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 1, 8).Draw(t, "rows")
		var out bytes.Buffer
		all := make([]Row, len(rows))
		for i, r := range rows {
			all[i] = cellsRow(r)
		}
		if err := (Printer{&out, FormTable}).All(all); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != len(rows)+1 {
			t.Fatalf("%d rows are %d lines:\n%s", len(rows), len(lines), out.String())
		}
		for i, r := range rows {
			begin := string([]rune(lines[i+1])[:len([]rune(r[0]))])
			if strings.ContainsAny(lines[i+1], "\t\r\x1b\x00") || begin != visible(r[:1])[0] {
				t.Fatalf("row %q is printed as %q", r, lines[i+1])
			}
		}
	})
}

// What is printed as JSON is read back as what it was, a line for each in jsonl.
func TestDocumentsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := submitted{
			TaskID: rapid.String().Draw(t, "task"), UserID: rapid.String().Draw(t, "user"), Lane: "fast",
			Status: schemas.Pending, Cursor: rapid.String().Draw(t, "cursor"),
		}
		for _, form := range []Form{FormJSON, FormLines} {
			var out bytes.Buffer
			p := Printer{&out, form}
			if err := p.Line(want); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.String(), "\n"); form == FormLines && n != 1 || n < 1 {
				t.Fatalf("%s has %d lines: %q", form, n, out.String())
			}
			var got submitted
			if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != want {
				t.Fatalf("%q is read as %+v, %v", out.String(), got, err)
			}
		}
	})
}

func TestFormsAreNamed(t *testing.T) {
	var f Form
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	f.AddTo(flags)
	if f != FormTable || f.Type() != "form" {
		t.Errorf("%q of type %s", f, f.Type())
	}
	for _, name := range []string{"table", "json", "jsonl"} {
		if err := flags.Parse([]string{"-o", name}); err != nil || f.String() != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	for _, name := range []string{"", "yaml", "JSON", "wide"} {
		if err := f.Set(name); err == nil || !strings.Contains(err.Error(), "table, json or jsonl") || f != FormLines {
			t.Errorf("%q: %v, %v", name, f, err)
		}
	}
}

// What is shown of a state and a result is the error where there is one.
func TestErrorsAreShown(t *testing.T) {
	why := "no such page"
	for _, c := range []struct {
		row  Row
		want string
	}{
		{stateRow{&client.TaskState{Message: "Executing", Status: schemas.Running}}, "Executing"},
		{stateRow{&client.TaskState{Message: "Failed", Error: why}}, why},
		{stateRow{&client.TaskState{Message: "Waiting", Waiting: &schemas.Waiting{Name: "lane/fast", By: "ops"}}},
			"Waiting (lane/fast, by ops)"},
		{resultRow{"t", schemas.Result{Status: schemas.Completed, Result: jsontext.Value(`{"a":1}`)}}, `{"a":1}`},
		{resultRow{"t", schemas.Result{Status: schemas.Failed, Error: &why}}, why},
		{cancelling{"t", "alice", ""}, "not seen yet"},
		{cancelling{"t", "alice", schemas.Running}, "running"},
		{lifted{"pause/lane/fast", true}, "true"},
	} {
		if cells := c.row.Cells(); cells[len(cells)-1] != c.want || len(cells) != len(c.row.Columns()) {
			t.Errorf("%T: %q of columns %q", c.row, cells, c.row.Columns())
		}
	}
	if err := checkCompleted("t", schemas.Result{Status: schemas.Failed}); err == nil ||
		!strings.Contains(err.Error(), "no reason given") {
		t.Errorf("%v", err)
	}
}
