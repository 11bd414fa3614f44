package schemas

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func controls() map[string]*Control {
	at := AtTime(time.UnixMilli(1769851800123))
	running, starts := int64(2), 0.5
	return map[string]*Control{
		"cancel/task/alice/t-1": {Kind: ControlCancel,
			Target: Target{Type: TargetTask, UserID: "alice", TaskID: "t-1"}, Time: at, ExpiresAt: &at, By: "alice"},
		"cancel/task/a%2Fb%20c/t-1": {Kind: ControlCancel,
			Target: Target{Type: TargetTask, UserID: "a/b c", TaskID: "t-1"}, Time: at, ExpiresAt: &at},
		"pause/lane/heavy": {Kind: ControlPause, Target: Target{Type: TargetLane, Lane: "heavy"}, Time: at,
			Reason: "maintenance"},
		"pause/user/bob": {Kind: ControlResume, Target: Target{Type: TargetUser, UserID: "bob"}, Time: at},
		"limits/service/chat/openai": {Kind: ControlLimits,
			Target: Target{Type: TargetService, Mode: "chat", Service: "openai"}, Time: at,
			Limits: &Limits{MaxRunning: &running, MaxStartsPerS: &starts}},
		"limits/task_name/summarize": {Kind: ControlLimits, Target: Target{Type: TargetTaskName, TaskName: "summarize"},
			Time: at, Limits: &Limits{}},
		"kill_switch/task_name/summarize": {Kind: ControlKillSwitch,
			Target: Target{Type: TargetTaskName, TaskName: "summarize"}, Time: at, Off: true},
		"kill_switch/task/alice/t-1": {Kind: ControlKillSwitch,
			Target: Target{Type: TargetTask, UserID: "alice", TaskID: "t-1"}, Time: at, ExpiresAt: &at},
	}
}

func TestGoldenControls(t *testing.T) {
	schema := compile(t, ControlSchema())
	for key, control := range controls() {
		if control.Key() != key {
			t.Errorf("the key is %s, want %s", control.Key(), key)
		}
		encoded, err := control.Encode()
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		golden(t, "control/"+strings.NewReplacer("/", "-", "%", "").Replace(key)+".json", encoded)
		if err := schema.Validate(parse(t, encoded)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		decoded, err := DecodeControl(encoded)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if diff := cmp.Diff(control, decoded); diff != "" {
			t.Errorf("%s changed on the way: %s", key, diff)
		}
	}
}

func TestBadControls(t *testing.T) {
	schema := compile(t, ControlSchema())
	const at = `"time":"2026-01-31T09:30:00Z"`
	for value, field := range map[string]string{
		`{}`: "kind", `{"kind":"stop","target":{"type":"lane","lane":"fast"},` + at + `}`: "kind",
		`{"kind":"pause",` + at +
			`}`: "target.type",
		`{"kind":"pause","target":{"type":"planet"},` + at +
			`}`: "target.type",
		`{"kind":"pause","target":{"type":"lane"},` + at +
			`}`: "target.lane",
		`{"kind":"pause","target":{"type":"lane","lane":"Fast"},` + at +
			`}`: "target.lane",
		`{"kind":"pause","target":{"type":"lane","lane":"fast","user_id":"u"},` + at +
			`}`: "target.user_id",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"}}`:                        "time",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"},"time":5}`:               "time",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"},"time":"today"}`:         "time",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"},` + at + `,"off":true}`:  "off",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"},` + at + `,"off":"yes"}`: "off",
		`{"kind":"pause","target":{"type":"lane","lane":"fast"},` + at +
			`,"limits":{}}`: "limits",
		`{"kind":"pause","target":{"type":"task","user_id":"u","task_id":"a/b"},` + at +
			`}`: "target.task_id",
		`{"kind":"pause","target":{"type":"task","task_id":"a"},` + at +
			`}`: "target.user_id",
		`{"kind":"cancel","target":{"type":"task","user_id":"u","task_id":"a"},` + at +
			`}`: "expires_at",
		`{"kind":"cancel","target":{"type":"user","user_id":"u"},` + at + `,"expires_at":` + at[7:] +
			`}`: "target.type",
		`{"kind":"limits","target":{"type":"task","user_id":"u","task_id":"a"},` + at +
			`,"limits":{}}`: "target.type",
		`{"kind":"limits","target":{"type":"user","user_id":"u"},` + at +
			`}`: "limits",
		`{"kind":"limits","target":{"type":"user","user_id":"u"},` + at +
			`,"limits":{"max_running":-1}}`: "limits.max_running",
		`{"kind":"limits","target":{"type":"user","user_id":"u"},` + at +
			`,"limits":{"max_starts_per_s":0}}`: "limits.max_starts_per_s",
		`{"kind":"pause","target":{"type":"user","user_id":"u"},` + at + `,"by":"` + strings.Repeat("x", 201) + `"}`: "by",
		`[]`: "", `null`: "",
	} {
		control, err := DecodeControl([]byte(value))
		var invalid *InvalidControlError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, %v", value, control, err)
			continue
		}
		if invalid.Field != field || len(invalid.Problem) < 10 {
			t.Errorf("%s: names %q, want %q: %v", value, invalid.Field, field, err)
		}
		if schema.Validate(parse(t, []byte(value))) == nil {
			t.Errorf("the schema accepts %s", value)
		}
	}
	for _, value := range []string{"", "{", "\xff", strings.Repeat("[", 1<<20)} {
		if control, err := DecodeControl([]byte(value)); err == nil {
			t.Errorf("%.40q is read as %v", value, control)
		}
	}
}

func TestAnOrderHasNoUnknownMember(t *testing.T) {
	const lane, user, at = `"target":{"type":"lane","lane":"gpu"}`, `"target":{"type":"user","user_id":"u"}`,
		`"time":"2026-01-31T09:30:00Z"`
	for value, want := range map[string][2]string{
		`{"kind":"pause",` + lane + `,` + at + `}`:                             {"", ""},
		`{"kind":"pause",` + lane + `,` + at + `,"reason":null,"limits":null}`: {"", ""},
		`{"kind":"pause",` + lane + `,` + at + `,"expire_at":"2026-01-31T09:30:00Z"}`: {"expire_at",
			"expires_at"},
		`{"kind":"pause",` + lane + `,` + at + `,"a\nb":1}`:                            {`"a\nb"`, "reason"},
		`{"kind":"pause","target":{"type":"lane","name":"gpu"},` + at + `}`:            {"target.name", "lane"},
		`{"kind":"pause","target":{"type":"lane","lane":"gpu","user":"u"},` + at + `}`: {"target.user", "user_id"},
		`{"kind":"limits",` + user + `,` + at + `,"limits":{"max_runs":1}}`: {"limits.max_runs",
			"max_running"},
		`{"kind":"limits",` + user + `,` + at + `,"limits":{"max_running":1,"Max_running":null}}`: {"limits.Max_running",
			"max_running"},
	} {
		_, err := DecodeControlRequest([]byte(value))
		var invalid *InvalidControlError
		switch {
		case want[0] == "" && err == nil:
		case !errors.As(err, &invalid) || !invalid.Unknown || invalid.Field != want[0] || !strings.Contains(invalid.Problem,
			want[1]):
			t.Errorf("%s: %v, want %q named, and what is known", value, err, want[0])
		}
		// A record of a newer version is read all the same.
		if _, err := DecodeControl([]byte(value)); err != nil && want[0] != "target.name" {
			t.Errorf("as a record: %v", err)
		}
	}
}

func TestLimitsSayWhichNumberIsWanted(t *testing.T) {
	const whole = "must be a whole number from 0 to 1000000 in plain digits, not "
	for limits, want := range map[string]string{
		`{"max_running":1.5}`:                             whole + "1.5",
		`{"max_running":1e30}`:                            whole + "1e30",
		`{"max_running":"2"}`:                             "must not be a string",
		`{"max_starts_per_s":1e999}`:                      startsRule,
		`{"max_running":` + strings.Repeat("9", 99) + `}`: whole + strings.Repeat("9", maxQuoted) + "...",
	} {
		_, err := DecodeControl([]byte(`{"kind":"limits","target":{"type":"user","user_id":"u"},` +
			`"time":"2026-01-31T09:30:00Z","limits":` + limits + `}`))
		var invalid *InvalidControlError
		if !errors.As(err, &invalid) || !strings.HasPrefix(invalid.Field, "limits.max_") || invalid.Problem != want {
			t.Errorf("%s: %v, want %q", limits, err, want)
		}
	}
}

func TestEncodeControlChecks(t *testing.T) {
	if encoded, err := (&Control{Kind: ControlCancel}).Encode(); err == nil {
		t.Errorf("encoded %s", encoded)
	}
}

func TestParseTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zé/ .%?#:~"]{1,12}`)
		want := rapid.SampledFrom([]Target{
			{Type: TargetTask, UserID: name.Draw(t, "user"), TaskID: "t-1:@~."},
			{Type: TargetTaskName, TaskName: name.Draw(t, "name")},
			{Type: TargetService, Mode: name.Draw(t, "mode"), Service: name.Draw(t, "service")},
			{Type: TargetUser, UserID: name.Draw(t, "user")}, {Type: TargetLane, Lane: "heavy"},
		}).Draw(t, "target")
		if got, err := ParseTarget(want.String()); err != nil || got != want {
			t.Fatalf("%s is read as %+v (%v), want %+v", want, got, err, want)
		}
	})
	for _, text := range []string{"", "task", "task/alice", "task/alice/", "task/alice/t-1/x", "lane/Fast", "lane",
		"user/", "user/%zz", "planet/earth", "/", "user/a/b"} {
		if got, err := ParseTarget(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// TestNewCancel: what it makes is a control that everybody takes, and is in force for as long as a lane keeps a task.
func TestNewCancel(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cancel := NewCancel(TaskKey{UserID: "ada", TaskID: "t"}, "bob", now)
	if field, wrong := cancel.Check(); wrong != "" {
		t.Errorf("%s %s", field, wrong)
	}
	if cancel.Kind != ControlCancel || cancel.Target != (Target{Type: TargetTask, UserID: "ada", TaskID: "t"}) ||
		cancel.By != "bob" || !cancel.Time.Equal(now) || !cancel.ExpiresAt.Equal(now.Add(CancelLifetime)) {
		t.Errorf("%+v", cancel)
	}
}
