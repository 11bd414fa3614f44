package main

import (
	"bytes"
	"errors"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func sampleRow() row {
	return submitted{TaskID: "t-1", UserID: "alice", Lane: "fast", Status: schemas.Pending, Cursor: "c0"}
}

func TestForms(t *testing.T) {
	for form, want := range map[outputForm]string{
		formTable: "TASK_ID  USER_ID  LANE  STATUS\nt-1      alice    fast  pending\n",
		formLines: `{"task_id":"t-1","user_id":"alice","lane":"fast","status":"pending","cursor":"c0"}` + "\n",
		formJSON:  "{\n  \"task_id\": \"t-1\",\n  \"user_id\": \"alice\",\n  \"lane\": \"fast\",\n  \"status\": \"pending\",\n  \"cursor\": \"c0\"\n}\n",
	} {
		var out bytes.Buffer
		if err := (printer{&out, form}).one(sampleRow()); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", form, out.String(), want)
		}
	}
}

func TestManyRowsShareOneHeader(t *testing.T) {
	var out bytes.Buffer
	if err := (printer{&out, formTable}).all([]row{sampleRow(), sampleRow()}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	out.Reset()
	if err := (printer{&out, formLines}).all([]row{sampleRow(), sampleRow()}); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("error %v:\n%s", err, out.String())
	}
	out.Reset()
	if err := (printer{&out, formTable}).all(nil); err != nil || out.Len() != 0 {
		t.Errorf("nothing prints %q, error %v", out.String(), err)
	}
}

func TestATopicIsPrintedAsWireForm(t *testing.T) {
	var out bytes.Buffer
	topic := topicRow{Name: "tasks.fast", Partitions: 8, Created: true, Warnings: []string{"w"}}
	if err := (printer{&out, formLines}).one(topic); err != nil {
		t.Fatal(err)
	}
	if want := `{"topic":"tasks.fast","partitions":8,"created":true,"warnings":["w"]}` + "\n"; out.String() != want {
		t.Errorf("%q", out.String())
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
	for _, form := range []outputForm{formTable, formJSON, formLines} {
		p := printer{brokenPipe{}, form}
		if p.one(sampleRow()) == nil || p.line(sampleRow()) == nil || p.all([]row{sampleRow()}) == nil {
			t.Errorf("%s: no error", form)
		}
	}
}

func TestEventsSayWhatHappened(t *testing.T) {
	for want, event := range map[string]schemas.Event{
		" 50% 1/2 pages":               {Progress: &schemas.Progress{Percent: 50, Current: 1, Total: 2, Unit: "pages"}},
		"Once upon":                    {Output: &schemas.Output{Text: "Once upon"}},
		"m: 3 tokens in, 4 out":        {Usage: &schemas.Usage{Model: "m", InputTokens: 3, OutputTokens: 4}},
		"warn: slow":                   {Log: &schemas.LogLine{Level: "warn", Text: "slow"}},
		"Failed: no such page":         {Message: "Failed", Error: "no such page"},
		`Completed: {"language":"de"}`: {Message: "Completed", Result: jsontext.Value(`{"language":"de"}`)},
		"Executing":                    {Message: "Executing"},
	} {
		if got := (eventRow{client.Event{Event: event}}).what(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-01-31T09:30:00Z"},
	}}
	if b := readBuild("", info); b.Version != "v1.2.3" || b.cells()[1] != "0123456789ab (modified)" || b.Time == "" {
		t.Errorf("build %+v", b)
	}
	if b := readBuild("v9", info); b.Version != "v9" {
		t.Errorf("the linker's version is not used: %+v", b)
	}
	if b := readBuild("", nil); b.Version != "devel" {
		t.Errorf("without any information %+v", b)
	}
	if got := run(t, []string{"version", "-o", "jsonl"}); got.code != exitFine || !strings.Contains(got.stdout, `"platform":`) {
		t.Errorf("%+v", got)
	}
}
