package schemas

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// anyUserID draws ids that a task may have, of the characters that matter to the text form.
func anyUserID(t *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune("aZ09./%+ ?#é世@~\"'\\<&")), 1, 20, -1).Draw(t, "user_id")
}

func anyTaskID(t *rapid.T) string {
	return rapid.StringMatching(`[A-Za-z0-9._:@~-]{1,20}`).
		Filter(func(id string) bool { return CheckTaskID(id) == "" }).Draw(t, "task_id")
}

// TestTaskKeyRoundTrip: the text form gives the key again, has one slash, and two keys have
// two forms.
func TestTaskKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := TaskKey{anyUserID(t), anyTaskID(t)}, TaskKey{anyUserID(t), anyTaskID(t)}
		text := one.String()
		got, err := ParseTaskKey(text)
		if err != nil || got != one {
			t.Fatalf("%q: %+v, %v; want %+v", text, got, err, one)
		}
		if strings.Count(text, "/") != 1 {
			t.Fatalf("%q has not one slash", text)
		}
		if (one == other) != (text == other.String()) {
			t.Fatalf("%+v and %+v are %q and %q", one, other, text, other.String())
		}
	})
}

// TestTaskKeyEndsATarget: a cancel's key is made of the same text.
func TestTaskKeyEndsATarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := TaskKey{anyUserID(t), anyTaskID(t)}
		target := Target{Type: TargetTask, UserID: k.UserID, TaskID: k.TaskID}
		if got, want := target.String(), "task/"+k.String(); got != want {
			t.Fatalf("the target is %q, want %q", got, want)
		}
		if target.TaskKey() != k {
			t.Fatalf("the target's task is %+v, want %+v", target.TaskKey(), k)
		}
	})
}

func TestParseTaskKeyRefuses(t *testing.T) {
	for _, text := range []string{
		"", "/", "alice", "alice/", "/t-1", "a/b/c", "alice/t 1", "alice/t%2F1", "%zz/t-1", "alice/%", "%00/t-1", "%FF/t-1",
		strings.Repeat("u", 201) + "/t", "u/" + strings.Repeat("t", 201), "u%e2%80%aea/t",
	} {
		if k, err := ParseTaskKey(text); err == nil {
			t.Errorf("%q is taken as %+v", text, k)
		} else if len(err.Error()) > 600 {
			t.Errorf("the refusal of %.20q has %d bytes", text, len(err.Error()))
		}
	}
}

// TestTaskKeyOfWhatHasOne: tasks and events say whose they are, and JSON has the two
// members of the contract.
func TestTaskKeyOfWhatHasOne(t *testing.T) {
	want := TaskKey{"alice", "t-1"}
	if got := (&Task{UserID: "alice", TaskID: "t-1"}).Key(); got != want {
		t.Errorf("the task's key is %+v", got)
	}
	if got := (&Event{UserID: "alice", TaskID: "t-1"}).Key(); got != want {
		t.Errorf("the event's key is %+v", got)
	}
	encoded, err := json.Marshal(struct {
		TaskKey
		More int `json:"more"`
	}{want, 1})
	if got := string(encoded); err != nil || got != `{"user_id":"alice","task_id":"t-1","more":1}` {
		t.Errorf("as JSON it is %s, %v", got, err)
	}
}
