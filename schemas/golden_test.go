package schemas

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func goldenTasks() map[string]*Task {
	step, priority, soft, hard := 2, 9, int64(5000), int64(60000)
	attempts, backoff, most, multiplier := 5, int64(500), int64(60000), 1.5
	at := AtTime(time.UnixMilli(1769851800123))
	minimal := Task{TaskID: "t-1", UserID: "alice", TaskName: "echo", Mode: "debug", Service: "echo"}
	full := Task{
		TaskID: "a.b_c:d@e~f-1", UserID: "Zoë/7", TaskName: "analyze_text", Mode: "chat", Service: "text_analyzer",
		Step: &step, InputData: jsontext.Value(`{"text":"schön \"gut\"","n":[1,2.50]}`),
		Context:  jsontext.Value(`{"language":"de"}`),
		Priority: &priority, Version: "2", NotBefore: &at, ExpiresAt: &at, SoftTimeLimitMS: &soft, TimeLimitMS: &hard,
		Retry: &Retry{MaxAttempts: &attempts, BackoffMS: &backoff, MaxBackoffMS: &most, Multiplier: &multiplier,
			Unknown: jsontext.Value(`{"jitter":true}`)},
		Unique:    &Unique{TTLMS: 600000, Key: "report"},
		DependsOn: []string{"t-0", "t-1"}, OnDependencyFailure: "run",
		OnSuccess: jsontext.Value(`{"task_name":"next"}`), OnFailure: jsontext.Value(`{"task_name":"clean_up"}`),
		CallbackURL: "https://example.org/hook?x=%20y", BatchID: "b-1", Labels: map[string]string{"team": "support"},
		RetryOf: "t-0", CreatedAt: &at, Unknown: jsontext.Value(`{"colour":"red"}`),
	}
	return map[string]*Task{"minimal": &minimal, "full": &full}
}

func goldenEvents() map[string]*Event {
	at := AtTime(time.UnixMilli(1769851800123))
	source := &Source{Topic: "tasks.fast", Partition: 3, Offset: 4711}
	event := func(kind Kind, status Status, change func(*Event)) *Event {
		e := &Event{
			EventID: "fast/3-1767222000000-17", TaskID: "t-1", UserID: "alice", Attempt: 1, Kind: kind, Status: status, Step: 1,
			Task: "analyze_text", Time: at, Lane: "fast", Mode: "chat", Service: "text_analyzer", Worker: "w-1",
		}
		if kind == KindState || kind == KindRepeat {
			e.Source = source
		}
		change(e)
		return e
	}
	return map[string]*Event{
		"pending": event(KindState, Pending, func(e *Event) {
			e.Attempt, e.Message = 1, "Waiting to be tried again: analyze_text"
			e.Waiting, e.NextAttemptAt = &Waiting{For: "retry", Until: &at}, &at
		}),
		"running": event(KindState, Running, func(e *Event) { e.Message = "Executing task: analyze_text" }),
		"completed": event(KindState, Completed, func(e *Event) {
			e.Message, e.Result = "Completed task: analyze_text",
				jsontext.Value(`{"language":"de","sentiment":{"label":"positive","score":0.75}}`)
			e.Metrics = &Metrics{QueuedMS: 1.5, RunMS: 20, Own: map[string]float64{"pages": 3, "cache_hits": 0.5}}
			e.Usage = &Usage{Model: "small, large", Provider: "openai", InputTokens: 10, CachedTokens: 4, CacheWriteTokens: 2,
				OutputTokens: 20, ReasoningTokens: 7, CostPicodollars: new(int64(500_000)), Estimated: true}
			e.Files = []File{{Path: "out.txt", Operation: "write", Bytes: 12}, {Path: "in.txt", Operation: "read"}}
		}),
		"stored": event(KindState, Completed, func(e *Event) {
			e.Message = "Completed task: analyze_text"
			e.ResultArtifact = &Artifact{
				Hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Name: "result.json",
				Type: "application/json", Size: 300_000,
			}
		}),
		"failed": event(KindState, Failed, func(e *Event) {
			e.Attempt, e.Message, e.Error, e.ErrorCode = 0, "Failed to execute task: analyze_text",
				"invalid task: mode is missing", CodeInvalidTask
		}),
		"refused": event(KindState, Failed, func(e *Event) {
			e.Error, e.ErrorCode = "openai: no (refused)", CodeRefused
			e.Upstream = &Upstream{Name: "openai", Status: 200, Code: "content_filter", Kind: "refused", Message: "no"}
		}),
		"timed_out": event(KindState, TimedOut, func(e *Event) {
			e.Message, e.Error, e.ErrorCode = "Timed out", "no end after 600 s", CodeTimeLimit
		}),
		"cancelled": event(KindState, Cancelled, func(e *Event) { e.Message, e.ErrorCode = "Cancelled", CodeCancelled }),
		"duplicate": event(KindState, Cancelled, func(e *Event) {
			e.Attempt, e.Message, e.ErrorCode, e.DuplicateOf = 0, "Cancelled as a duplicate: analyze_text", CodeDuplicate, "t-0"
		}),
		"progress": event(KindProgress, Running, func(e *Event) {
			e.Progress = &Progress{Percent: 33.3, Current: 1, Total: 3, Unit: "files"}
		}),
		"output": event(KindOutput, Running, func(e *Event) { e.Output = &Output{Text: "Grüße,\n\"you\" \u2028"} }),
		"usage":  event(KindUsage, Running, func(e *Event) { e.Usage = &Usage{Model: "small"} }),
		"output_data": event(KindOutput, Running, func(e *Event) {
			e.Source = source
			e.Output = &Output{Index: 3, Text: "hi", Data: jsontext.Value(`[{"type":"response.output_text.delta"}]`)}
		}),
		"reset": event(KindReset, Running, func(e *Event) { e.Attempt, e.Source = 2, source }),
		"log":   event(KindLog, Running, func(e *Event) { e.Log = &LogLine{Level: "info", Text: "half way"} }),
		"checkpoint": event(KindCheckpoint, Running, func(e *Event) {
			e.Checkpoint = &Checkpoint{Name: "fetch", Result: jsontext.Value(`{"pages":[1,2]}`)}
		}),
		"repeat": event(KindRepeat, Pending, func(e *Event) { e.Message = "Received before at offset 3; not run again" }),
	}
}

func TestGoldenTasks(t *testing.T) {
	schema := compile(t, TaskSchema())
	for name, task := range goldenTasks() {
		encoded, err := task.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "task/"+name+".json", encoded)
		if err := schema.Validate(parse(t, encoded)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		decoded, err := DecodeTask(encoded)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(task, decoded); diff != "" {
			t.Errorf("%s changed on the way: %s", name, diff)
		}
	}
}

func TestGoldenEvents(t *testing.T) {
	schema := compile(t, EventSchema())
	for name, event := range goldenEvents() {
		encoded, err := event.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "event/"+name+".json", encoded)
		if err := schema.Validate(parse(t, encoded)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		decoded, err := DecodeEvent(encoded)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(event, decoded); diff != "" {
			t.Errorf("%s changed on the way: %s", name, diff)
		}
	}
}

func TestGoldenSigns(t *testing.T) {
	schema := compile(t, EventSchema())
	at := AtTime(time.UnixMilli(1769851800123))
	for _, sign := range []*Sign{
		{EventID: "fast/3-1767222000000-1", Kind: KindFence, Shard: "fast/3", Epoch: 1767222000000, Seq: 1, Worker: "w-1",
			Time: at},
		{EventID: "fast/3-1767222000000-9", Kind: KindMark, Shard: "fast/3", Epoch: 1767222000000, Seq: 9, Worker: "w-1",
			Time: at, Running: 4, Lag: 120},
	} {
		encoded, err := sign.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "event/"+string(sign.Kind)+".json", encoded)
		if err := schema.Validate(parse(t, encoded)); err != nil {
			t.Errorf("%s: %v", sign.Kind, err)
		}
	}
}

// TestEventSchemaRefuses what readers could not use.
func TestEventSchemaRefuses(t *testing.T) {
	schema := compile(t, EventSchema())
	encoded, err := goldenEvents()["running"].Encode()
	if err != nil {
		t.Fatal(err)
	}
	for old, changed := range map[string]string{
		`"kind":"state"`: `"kind":"news"`, `"status":"running"`: `"status":"done"`, `"attempt":1`: `"attempt":-1`,
		`"time":"2026-01-31T09:30:00.123Z"`: `"time":"2026-01-31T09:30:00Z"`, `"source"`: `"origin"`, `"user_id"`: `"user"`,
		`"event_id":"fast/3-1767222000000-17"`: `"event_id":"17"`, `"lane":`: `"line":`,
	} {
		value := bytes.Replace(encoded, []byte(old), []byte(changed), 1)
		if bytes.Equal(value, encoded) {
			t.Fatalf("%s is not in %s", old, encoded)
		}
		if schema.Validate(parse(t, value)) == nil {
			t.Errorf("accepted with %s", changed)
		}
	}
}

func TestDecodeEventKeepsUnknownMembers(t *testing.T) {
	encoded, err := goldenEvents()["running"].Encode()
	if err != nil {
		t.Fatal(err)
	}
	encoded = append(encoded[:len(encoded)-1], `,"colour":"red"}`...)
	event, err := DecodeEvent(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := event.Encode(); err != nil || !bytes.Equal(again, encoded) {
		t.Errorf("encoded (%v)\n%s\nwant\n%s", err, again, encoded)
	}
}

func TestResultOf(t *testing.T) {
	events := goldenEvents()
	if r := ResultOf(events["completed"]); r.Status != Completed || r.Error != nil ||
		!bytes.Equal(r.Result, events["completed"].Result) {
		t.Errorf("completed: %+v", r)
	}
	if r := ResultOf(events["failed"]); r.Error == nil || *r.Error != events["failed"].Error ||
		string(r.Result) != "null" || r.ErrorCode != CodeInvalidTask {
		t.Errorf("failed: %+v", r)
	}
	if !events["failed"].Terminal() || events["running"].Terminal() || events["progress"].Terminal() {
		t.Error("Terminal() is wrong")
	}
	if !KindCheckpoint.OfTask() || KindCheckpoint.ForUser() || !KindState.ForUser() || KindFence.ForUser() {
		t.Error("OfTask() or ForUser() is wrong")
	}
}
