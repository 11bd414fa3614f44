package schemas

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTargetsHaveTheMembersOfTheirType and no others; each is named when it is missing.
func TestTargetsHaveTheMembersOfTheirType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := anyTarget(t)
		if field, problem := target.check(); problem != "" {
			t.Fatalf("%+v: %s %s", target, field, problem)
		}
		all := target.members()
		m := all[rapid.IntRange(0, len(all)-1).Draw(t, "member")]
		own := slices.ContainsFunc(all, func(o targetMember) bool { return o.of == target.Type && o.name == m.name })
		before := *m.value
		if own {
			*m.value = ""
		} else {
			*m.value = "x"
		}
		field, problem := target.check()
		if problem == "" || field != "target."+m.name {
			t.Fatalf("%+v, which had %s %q: %s %q", target, m.name, before, field, problem)
		}
		c := &Control{Kind: ControlPause, Target: target, Time: anyTime(t)}
		var invalid *InvalidControlError
		if _, err := c.Encode(); !errors.As(err, &invalid) || invalid.Field != field {
			t.Fatalf("it is written: %v", err)
		}
	})
}

// TestParseTargetHasOneForm: what is read is written in the same way, or nearly: an escape that
// need not be is no other target.
func TestParseTargetHasOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"task", "task_name", "service", "user", "lane", "other", ""}).Draw(t, "type") +
			rapid.StringMatching(`(/[a-z%2F0-9 .]{0,6}){0,4}`).Draw(t, "names")
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		if again, err := ParseTarget(target.String()); err != nil || again != target {
			t.Fatalf("%q is %+v, written as %q: %+v, %v", text, target, target, again, err)
		}
	})
}

// TestClonesAreApart: of the lists and values that a task may have.
func TestClonesAreApart(t *testing.T) {
	task := &Task{
		TaskID: "t", DependsOn: []string{"a"}, Labels: map[string]string{"k": "v"}, InputData: []byte(`{"a":1}`),
		Unique: &Unique{TTLMS: 1}, Retry: &Retry{Unknown: []byte(`{"b":2}`)}, Unknown: []byte(`{"c":3}`),
	}
	clone := task.Clone()
	clone.DependsOn[0], clone.Labels["k"], clone.InputData[1], clone.Unique.TTLMS = "b", "w", 'x', 2
	clone.Retry.Unknown[1], clone.Unknown[1] = 'x', 'x'
	if task.DependsOn[0] != "a" || task.Labels["k"] != "v" || string(task.InputData) != `{"a":1}` ||
		task.Unique.TTLMS != 1 ||
		string(task.Retry.Unknown) != `{"b":2}` || string(task.Unknown) != `{"c":3}` {
		t.Errorf("a change of the clone shows in the task: %+v", task)
	}
	if empty := new(Task).Clone(); !reflect.DeepEqual(empty, new(Task)) {
		t.Errorf("the clone of nothing is %+v", empty)
	}
}

// TestHeadersAreOwn: whatever this package calls a header of Tasklane's begins like one.
func TestHeadersAreOwn(t *testing.T) {
	headers := []string{
		HeaderShard, HeaderEpoch, HeaderSeq, HeaderWaiting, HeaderCallback, HeaderDelivery, HeaderTries, HeaderCreated,
		HeaderDue,
		HeaderSeal, HeaderOutcome, HeaderReason, HeaderError, HeaderTopic, HeaderPartition, HeaderOffset, HeaderAttempt,
		HeaderHistory,
		HeaderTruncated,
	}
	for i, header := range headers {
		if !OwnHeader(header) || strings.ToLower(header) != header || slices.Contains(headers[:i], header) {
			t.Errorf("%q", header)
		}
	}
}
