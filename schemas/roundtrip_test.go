package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

// anyName draws a name that a task, a lane's user or a service may have.
func anyName(t *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune("aZ0 ./é世😀\"'\\<&%+")), 1, 12, -1).Draw(t, "name")
}

func anyTime(t *rapid.T) Time {
	return AtTime(time.UnixMilli(rapid.Int64Range(-60_000_000_000_000, 250_000_000_000_000).Draw(t, "ms")))
}

func maybe[T any](t *rapid.T, draw func(*rapid.T) T) *T {
	if !rapid.Bool().Draw(t, "given") {
		return nil
	}
	v := draw(t)
	return &v
}

// anyTarget draws one of each type.
func anyTarget(t *rapid.T) Target {
	switch rapid.SampledFrom([]TargetType{TargetTask, TargetTaskName, TargetService, TargetUser, TargetLane}).Draw(t,
		"type") {
	case TargetTask:
		return Target{Type: TargetTask, UserID: anyUserID(t), TaskID: anyTaskID(t)}
	case TargetTaskName:
		return Target{Type: TargetTaskName, TaskName: anyName(t)}
	case TargetService:
		return Target{Type: TargetService, Mode: anyName(t), Service: anyName(t)}
	case TargetUser:
		return Target{Type: TargetUser, UserID: anyUserID(t)}
	}
	return Target{Type: TargetLane, Lane: rapid.StringMatching(`[a-z][a-z0-9_-]{0,31}`).Draw(t, "lane")}
}

// anyControl draws a record that is right.
func anyControl(t *rapid.T) *Control {
	c := &Control{Target: anyTarget(t), Time: anyTime(t), ExpiresAt: maybe(t, anyTime)}
	if rapid.Bool().Draw(t, "by somebody") {
		c.By, c.Reason = anyName(t), anyName(t)
	}
	kinds := []ControlKind{ControlPause, ControlResume, ControlKillSwitch}
	switch c.Target.Type {
	case TargetTask:
		kinds = append(kinds, ControlCancel)
	default:
		kinds = append(kinds, ControlLimits)
	}
	switch c.Kind = rapid.SampledFrom(kinds).Draw(t, "kind"); c.Kind {
	case ControlCancel:
		at := anyTime(t)
		c.ExpiresAt = &at
	case ControlKillSwitch:
		c.Off = rapid.Bool().Draw(t, "off")
	case ControlLimits:
		c.Limits = &Limits{
			MaxRunning:    maybe(t, anyCount),
			MaxStartsPerS: maybe(t, anyRate),
		}
	}
	return c
}

func anyRate(t *rapid.T) float64 { return rapid.Float64Range(0.001, maxControlRate).Draw(t, "rate") }

// TestControlsRoundTrip: what is written is read again, as a record and as an order; the key
// names the target, and a resume has that of its pause.
func TestControlsRoundTrip(t *testing.T) {
	schema := compile(t, ControlSchema())
	rapid.Check(t, func(t *rapid.T) {
		c := anyControl(t)
		encoded, err := c.Encode()
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if err := schema.Validate(mustParse(t, string(encoded))); err != nil {
			t.Fatalf("%s: the schema says %v", encoded, err)
		}
		for name, decode := range map[string]func([]byte) (*Control, error){"record": DecodeControl,
			"request": DecodeControlRequest} {
			got, err := decode(encoded)
			if err != nil {
				t.Fatalf("%s as %s: %v", encoded, name, err)
			}
			if diff := cmp.Diff(c, got); diff != "" {
				t.Fatalf("%s as %s (-want +got):\n%s", encoded, name, diff)
			}
		}
		kind, target, _ := strings.Cut(c.Key(), "/")
		if c.Kind == ControlResume && kind != string(ControlPause) || c.Kind != ControlResume && kind != string(c.Kind) {
			t.Fatalf("a %s has the key %s", c.Kind, c.Key())
		}
		if got, err := ParseTarget(target); err != nil || got != c.Target {
			t.Fatalf("the key %s names %+v, %v; want %+v", c.Key(), got, err, c.Target)
		}
	})
}

// TestTargetsHaveOneKey: two targets have the same only if they are the same.
func TestTargetsHaveOneKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTarget(t), anyTarget(t)
		if (a == b) != (a.String() == b.String()) {
			t.Fatalf("%+v and %+v have the keys %s and %s", a, b, a, b)
		}
	})
}

// TestDecodeEventRoundTrip: events that were written are read again, with what this version
// does not know.
func TestDecodeEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := drawEvent(t)
		encoded, err := event.Encode()
		if err != nil {
			return
		}
		got, err := DecodeEvent(encoded)
		if err != nil {
			return // a result with a member twice, which was written as it came
		}
		got.Unknown = jsontext.Value(`{"yet_to_come":[1,{"a":null}]}`)
		again, err := got.Encode()
		if err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		back, err := DecodeEvent(again)
		if err != nil || string(back.Unknown) != string(got.Unknown) {
			t.Fatalf("%s: %v, unknown %s", again, err, back.Unknown)
		}
		back.Unknown = nil
		if final, err := back.Encode(); err != nil || !bytes.Equal(final, encoded) {
			t.Fatalf("%v\n%s", err, cmp.Diff(string(encoded), string(final)))
		}
	})
}

// TestDecodeTaskBothWays: apart from its bytes and within them it is the same task.
func TestDecodeTaskBothWays(t *testing.T) {
	members := memberGenerators()
	rapid.Check(t, func(t *rapid.T) {
		value := []byte(objectRaw(t, members, []string{"task_id", "user_id", "task_name", "mode", "service"}))
		apart, err := DecodeTask(value)
		within, withinErr := DecodeTaskInPlace(bytes.Clone(value))
		if fmt.Sprint(err) != fmt.Sprint(withinErr) {
			t.Fatalf("%s: %v and %v", value, err, withinErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(apart, within); diff != "" {
			t.Fatalf("%s (-apart +within):\n%s", value, diff)
		}
		clear(value) // whoever keeps the task does not keep the batch it came in
		if again, err := apart.Encode(); err != nil || !jsontext.Value(again).IsValid() {
			t.Fatalf("after its bytes were overwritten: %s, %v", again, err)
		}
		if diff := cmp.Diff(apart, apart.Clone()); diff != "" {
			t.Fatalf("its clone (-want +got):\n%s", diff)
		}
	})
}

// TestDecodingIsBounded: by size, by depth, and in what a refusal quotes.
func TestDecodingIsBounded(t *testing.T) {
	task := func(more string) []byte {
		return []byte(`{"task_id":"t","user_id":"u","task_name":"n","mode":"m","service":"s"` + more + `}`)
	}
	within := func(size int) []byte {
		base := task(`,"input_data":{"x":""}`)
		return bytes.Replace(base, []byte(`""`), []byte(`"`+strings.Repeat("x", size-len(base))+`"`), 1)
	}
	for name, test := range map[string]struct {
		value []byte
		taken bool
	}{
		"as large as may be": {within(MaxTaskBytes), true},
		"a byte more":        {within(MaxTaskBytes + 1), false},
		"a thousand levels": {task(`,"input_data":{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]",
			1000) + `}`), true},
		"twenty thousand": {task(`,"input_data":{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]",
			20_000) + `}`), false},
		"a name without an end":   {task(`,"` + strings.Repeat("n", 500_000) + `":1`), true},
		"a number without an end": {task(`,"priority":` + strings.Repeat("9", 500_000)), false},
		"an exponent":             {task(`,"priority":1e999999999`), false},
		"very many members":       {task(strings.Repeat(`,"a":1`, 100_000)), false},
	} {
		var err error
		took := rapidtest.CPU(t, func() { _, err = DecodeTask(test.value) })
		if (err == nil) != test.taken {
			t.Errorf("%s: %.200v", name, err)
		}
		if took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		var invalid *InvalidTaskError
		if errors.As(err, &invalid) && (len(invalid.Error()) > 700 || !utf8.ValidString(invalid.Error())) {
			t.Errorf("%s: the refusal has %d bytes", name, len(invalid.Error()))
		}
	}
}

// TestTimesRoundTrip: to the millisecond, from any offset, over every year that can be said.
func TestTimesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyTime(t)
		if want.Year() < 3 || want.Year() > 9998 {
			return // an offset could lead out of what can be said
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60, 23*60).Draw(t, "minutes"))
		for _, text := range []string{want.In(zone).Format(time.RFC3339Nano), want.UTC().Format(time.RFC3339Nano)} {
			var got Time
			if err := got.UnmarshalText([]byte(text)); err != nil || !got.Equal(want.Time) || got.Location() != time.UTC {
				t.Fatalf("%s: %v, %v; want %v", text, got, err, want)
			}
			encoded, err := got.MarshalJSON()
			if err != nil || len(encoded) != len(`"2026-01-31T09:30:00.000Z"`) {
				t.Fatalf("%s is written as %s, %v", text, encoded, err)
			}
			var again Time
			if err := again.UnmarshalJSON(encoded); err != nil || again != got {
				t.Fatalf("%s: %v, %v", encoded, again, err)
			}
		}
	})
	for _, year := range []int{0, -1, 10000} {
		at := Time{time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}
		if text, err := at.MarshalText(); err == nil {
			t.Errorf("the year %d is written as %s", year, text)
		}
	}
}

// TestContentIsComparedByWhatItSays: tasks with the same content have the same sum, in
// whatever order and spelling; with another user, service or input another one.
func TestContentIsComparedByWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := func() string { return rapid.SampledFrom([]string{"", " "}).Draw(t, "space") }
		task := &Task{
			TaskID: "a", UserID: anyUserID(t), Mode: anyName(t), Service: anyName(t), TaskName: anyName(t),
			InputData: jsontext.Value(anyObject(t, 2, space)), Unique: &Unique{TTLMS: 1},
		}
		same := task.Clone()
		same.TaskID, same.Priority = "b", new(int)
		same.InputData = jsontext.Value(rewritten(t, string(task.InputData)))
		if task.ContentSum() != same.ContentSum() {
			t.Fatalf("%s and %s differ", task.InputData, same.InputData)
		}
		for name, change := range map[string]func(*Task){
			"user": func(o *Task) { o.UserID += "x" }, "mode": func(o *Task) { o.Mode += "x" },
			"service": func(o *Task) { o.Service += "x" }, "name": func(o *Task) { o.TaskName += "x" },
			"input": func(o *Task) { o.InputData = jsontext.Value(`{"other":1}`) },
			"shift": func(o *Task) { o.Mode, o.Service = o.Mode+o.Service[:1], o.Service[1:] },
		} {
			other := task.Clone()
			if change(other); other.ContentSum() == task.ContentSum() {
				t.Fatalf("another %s has the same sum", name)
			}
		}
		keyed, again := task.Clone(), task.Clone()
		keyed.Unique.Key, again.Unique.Key = "k", "k"
		if again.InputData = nil; keyed.ContentSum() != again.ContentSum() || keyed.ContentSum() == task.ContentSum() {
			t.Fatal("a key is not what the content is compared by")
		}
		if task.Unique = nil; task.ContentSum() != ([16]byte{}) {
			t.Fatal("a task that is not unique has a sum")
		}
	})
}

// TestLimitsOfAnAttempt: the soft one is never above the hard one, what is given is kept, and
// a soft one that leaves no room moves the hard one.
func TestLimitsOfAnAttempt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(1, maxLimitMS).Draw(t, name)) * time.Millisecond
		}
		soft, hard := duration("default soft"), duration("default hard")
		task := &Task{SoftTimeLimitMS: maybe(t, anyLimit), TimeLimitMS: maybe(t, anyLimit)}
		gotSoft, gotHard := task.Limits(soft, hard)
		if task.SoftTimeLimitMS != nil && gotSoft.Milliseconds() != *task.SoftTimeLimitMS ||
			task.TimeLimitMS != nil && gotHard.Milliseconds() != *task.TimeLimitMS {
			t.Fatalf("%v and %v, which is not what was given", gotSoft, gotHard)
		}
		both := task.SoftTimeLimitMS != nil && task.TimeLimitMS != nil
		if gotSoft <= 0 || gotHard <= 0 || gotSoft > gotHard && !both {
			t.Fatalf("%v and %v", gotSoft, gotHard)
		}
		if task.TimeLimitMS != nil && !both && gotHard-gotSoft > maxSoftLead {
			t.Fatalf("the soft limit is %v before the hard one", gotHard-gotSoft)
		}
	})
}

func anyLimit(t *rapid.T) int64 { return rapid.Int64Range(1, maxLimitMS).Draw(t, "limit") }

// TestTopicsOfInstallationsAreApart: no two topics have one name, with any prefix and lanes.
func TestTopicsOfInstallationsAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := Topics{Prefix: rapid.StringMatching(`([a-z]{1,5}\.)?`).Draw(t, "prefix")}
		lanes := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`), 1, 5, rapid.ID[string]).Draw(t, "lanes")
		if CheckLanes(lanes) != nil {
			return // scheduled, or dlq
		}
		names := []string{
			topics.Events(), topics.Scheduled(), topics.Control(), topics.Webhooks(), topics.Definitions(), topics.Limits(),
			topics.DeadLetters(),
		}
		groups := []string{topics.WebhooksGroup()}
		for _, lane := range lanes {
			names, groups = append(names, topics.Lane(lane)), append(groups, topics.ProcessorGroup(lane))
		}
		for _, all := range [][]string{names, groups} {
			for i, name := range all {
				if slices.Contains(all[:i], name) || !strings.HasPrefix(name, topics.Prefix) {
					t.Fatalf("%q of %q", name, all)
				}
			}
		}
	})
	for _, lanes := range [][]string{nil, {"Fast"}, {"a", "a"}, {"scheduled"}, {"dlq"}, {""}, {"1a"}, {"a.b"},
		{strings.Repeat("a", 33)}} {
		if CheckLanes(lanes) == nil {
			t.Errorf("the lanes %q are taken", lanes)
		}
	}
}

// TestOwnHeaders whatever letter case a client makes of them.
func TestOwnHeaders(t *testing.T) {
	for key, own := range map[string]bool{
		HeaderShard: true, "TL-Shard": true, "\x20tl-x": true, "tl-": true, "tl": false, "x-tl-shard": false,
		HeaderTraceparent: false, "": false,
	} {
		if OwnHeader(key) != own {
			t.Errorf("%q: own %t, want %t", key, !own, own)
		}
	}
}

// TestWebhookSecretsRoundTrip, and sign for themselves alone.
func TestWebhookSecretsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) WebhookSecret {
			secret, err := NewWebhookSecret(rapid.SliceOfN(rapid.Byte(), minWebhookSecretBytes, maxWebhookSecretBytes).Draw(t,
				name))
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		secret, other := draw("secret"), draw("other")
		again, err := ParseWebhookSecret(secret.Text())
		if err != nil || again.Text() != secret.Text() {
			t.Fatalf("%v", err)
		}
		at, body := time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "at"), 0), rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		signature := secret.Sign("id", at, body)
		stamp := fmt.Sprint(at.Unix())
		if !again.Verify("id", stamp, body, "v0,x "+signature+" v1,not-base64!") {
			t.Fatal("its own signature is refused")
		}
		if secret.Text() != other.Text() && other.Verify("id", stamp, body, signature) {
			t.Fatal("another secret's signature is taken")
		}
		if again.Verify("id", stamp, append(body, 'x'), signature) || again.Verify("other", stamp, body, signature) ||
			again.Verify("id", stamp+"0", body, signature) || (WebhookSecret{}).Verify("id", stamp, body, signature) {
			t.Fatal("a signature of something else is taken")
		}
	})
	list, err := ParseWebhookSecrets([]byte("# ours\n\n" + strings.Repeat("A", 32) + "\n  whsec_" + strings.Repeat("B",
		32) + "  \r\n"))
	if err != nil || len(list) != 2 {
		t.Errorf("%d secrets, %v", len(list), err)
	}
	for _, content := range []string{"", "# none\n", strings.Repeat("A", 32) + "\nshort"} {
		if list, err := ParseWebhookSecrets([]byte(content)); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%d secrets of %q: %v", len(list), content, err)
		}
	}
}

func anyCount(t *rapid.T) int64 { return rapid.Int64Range(0, maxControlRate).Draw(t, "count") }
