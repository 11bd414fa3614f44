package schemas

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sorted(names []string) []string { slices.Sort(names); return names }

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms) }

func TestStateMachine(t *testing.T) {
	all := append(Statuses(), "", "unknown")
	allowed := map[Status][]Status{Pending: Statuses(), Running: Statuses()}
	terminal := []Status{Completed, Failed, TimedOut, Cancelled}
	for _, from := range all {
		if from.Terminal() != slices.Contains(terminal, from) {
			t.Errorf("%q.Terminal() = %v", from, from.Terminal())
		}
		if from.Known() != slices.Contains(Statuses(), from) {
			t.Errorf("%q.Known() = %v", from, from.Known())
		}
		for _, to := range all {
			if got, want := from.CanBecome(to), slices.Contains(allowed[from], to); got != want {
				t.Errorf("%q.CanBecome(%q) = %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestKindsOfTasks(t *testing.T) {
	for kind, want := range map[Kind]bool{
		KindState: true, KindProgress: true, KindOutput: true, KindUsage: true, KindLog: true, KindReset: true,
		KindFence: false, KindMark: false, KindRepeat: false, "": false, "other": false,
	} {
		if kind.OfTask() != want {
			t.Errorf("%q.OfTask() = %v", kind, !want)
		}
	}
}

func TestLimits(t *testing.T) {
	ms := func(d time.Duration) *int64 { n := d.Milliseconds(); return &n }
	for _, c := range []struct {
		name               string
		soft, hard         *int64
		wantSoft, wantHard time.Duration
	}{
		{"none given", nil, nil, 300 * time.Second, 600 * time.Second},
		{"both given", ms(2 * time.Second), ms(9 * time.Second), 2 * time.Second, 9 * time.Second},
		{"both the same", ms(time.Second), ms(time.Second), time.Second, time.Second},
		{"hard alone, 10 % less", nil, ms(10 * time.Second), 9 * time.Second, 10 * time.Second},
		{"hard alone, at most 30 s less", nil, ms(time.Hour), time.Hour - 30*time.Second, time.Hour},
		{"hard alone, exactly 30 s less", nil, ms(300 * time.Second), 270 * time.Second, 300 * time.Second},
		{"hard alone, tiny", nil, ms(time.Millisecond), 900 * time.Microsecond, time.Millisecond},
		{"soft alone, below the default", ms(5 * time.Second), nil, 5 * time.Second, 600 * time.Second},
		{"soft alone, at the default hard limit", ms(600 * time.Second), nil, 600 * time.Second, 600 * time.Second},
		{"soft alone, above it", ms(time.Hour), nil, time.Hour, time.Hour + 30*time.Second},
	} {
		task := &Task{SoftTimeLimitMS: c.soft, TimeLimitMS: c.hard}
		soft, hard := task.Limits(DefaultSoftTimeLimit, DefaultTimeLimit)
		if soft != c.wantSoft || hard != c.wantHard {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, soft, hard, c.wantSoft, c.wantHard)
		}
	}
	if soft, hard := new(Task).Limits(time.Hour, time.Minute); soft != time.Minute || hard != time.Minute {
		t.Errorf("a default soft limit above the hard one: %v, %v", soft, hard)
	}
}

func TestDefaults(t *testing.T) {
	zero, four := 0, 4
	if task := new(Task); task.StepOrDefault() != 1 || task.PriorityOrDefault() != 5 || task.MaxAttempts() != 3 {
		t.Error("the defaults are not 1, 5 and 3")
	}
	task := &Task{Step: &zero, Priority: &zero, Retry: &Retry{MaxAttempts: &four}}
	if task.StepOrDefault() != 0 || task.PriorityOrDefault() != 0 || task.MaxAttempts() != 4 {
		t.Error("what was given is not taken")
	}
	if task.Retry.MaxAttempts = nil; task.MaxAttempts() != 3 {
		t.Error("a retry without max_attempts has not the default")
	}
}

func TestTimeRoundTrip(t *testing.T) {
	first, last := time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.OneOf(rapid.Int64Range(first.UnixMilli(), last.UnixMilli()),
			rapid.SampledFrom([]int64{first.UnixMilli(), last.UnixMilli()}))
		want := AtTime(time.UnixMilli(ms.Draw(t, "ms")))
		text, err := want.MarshalText()
		if layout := want.Format("2006-01-02T15:04:05.000Z07:00"); err != nil || string(text) != layout {
			t.Fatalf("written %s (%v), want %s", text, err, layout)
		}
		var got Time
		if err := got.UnmarshalText(text); err != nil || !got.Equal(want.Time) {
			t.Fatalf("read %v (%v), want %v", got, err, want)
		}
		quoted, err := want.MarshalJSON()
		if err != nil || string(quoted) != `"`+string(text)+`"` {
			t.Fatalf("as JSON %s (%v)", quoted, err)
		}
		if err := got.UnmarshalJSON(quoted); err != nil || !got.Equal(want.Time) {
			t.Fatalf("read from JSON %v (%v), want %v", got, err, want)
		}
	})
}

func TestTimeForms(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-31T09:30:00Z": "2026-01-31T09:30:00.000Z", "2026-01-31T09:30:00.1239+01:00": "2026-01-31T08:30:00.123Z",
		"0002-01-01T00:00:00Z": "0002-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
	} {
		var got Time
		if err := got.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if written, _ := got.MarshalText(); string(written) != want {
			t.Errorf("%s is written %s, want %s", text, written, want)
		}
	}
	if _, err := (Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).MarshalText(); err == nil {
		t.Error("the year 10000 is written without an error")
	}
}

func TestEncodeTaskKeepsUnknownMembers(t *testing.T) {
	const sent = `{"task_id":"a","user_id":"u","task_name":"n","mode":"m","service":"s","retry":{"max_attempts":2,` +
		`"jitter":[1,{"x":null}]},"colour":"red","a\"b":{"deep":[true]}}`
	task, err := DecodeTask([]byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	if encoded, err := task.Encode(); err != nil || string(encoded) != sent {
		t.Errorf("encoded (%v)\n%s\nwant\n%s", err, encoded, sent)
	}
	if names := task.UnknownFields(); !slices.Equal(names, []string{"colour", `a"b`, "retry.jitter"}) {
		t.Errorf("unknown fields %q", names)
	}
}

// TestTaskSharesNothing: the batch a record came in must not be kept by a task.
func TestTaskSharesNothing(t *testing.T) {
	sent := []byte(`{"task_id":"a","user_id":"u","task_name":"n","mode":"m","service":"s","input_data":{"x":1},"y":2}`)
	task, err := DecodeTask(sent)
	if err != nil {
		t.Fatal(err)
	}
	clear(sent)
	if task.TaskID != "a" || string(task.InputData) != `{"x":1}` || string(task.Unknown) != `{"y":2}` {
		t.Errorf("the task changed with its record: %+v", task)
	}
}

func TestWholeNumber(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.000": 0, "0e999999999999": 0, "-0.0e-99999999999999": 0, "5": 5, "5.0": 5, "-5.0": -5, "50e-1": 5,
		"0.5e1": 5,
		"1e3":   1000, "1E+3": 1000, "123456789012345678": 123456789012345678, "100000000000000000000000e-20": 1000,
	} {
		if got, ok := wholeNumber([]byte(text)); !ok || got != want {
			t.Errorf("%s is read as %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"0.5", "5.5", "1e-1", "1e400", "1e999999999999999999999", "1e-999999999999999999999",
		"1234567890123456789", "1e18"} {
		if got, ok := wholeNumber([]byte(text)); ok {
			t.Errorf("%s is read as %d", text, got)
		}
	}
}
