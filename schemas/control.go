package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ControlKind says what a control record asks for.
type ControlKind string

// The kinds of control records.
const (
	ControlCancel     ControlKind = "cancel"      // end one task
	ControlPause      ControlKind = "pause"       // start nothing of the target
	ControlResume     ControlKind = "resume"      // the end of a pause
	ControlLimits     ControlKind = "limits"      // how much of the target runs
	ControlKillSwitch ControlKind = "kill_switch" // refuse the target's tasks
)

// TargetType says what a control record is about.
type TargetType string

// The types of targets.
const (
	TargetTask     TargetType = "task"
	TargetTaskName TargetType = "task_name"
	TargetService  TargetType = "service"
	TargetUser     TargetType = "user"
	TargetLane     TargetType = "lane"
)

// Control is one record of task-control.
type Control struct {
	Kind   ControlKind `json:"kind"`
	Target Target      `json:"target"`
	// Time is when it was asked, By who asked; users it touches see Reason.
	Time   Time   `json:"time"`
	By     string `json:"by,omitzero"`
	Reason string `json:"reason,omitzero"`
	// ExpiresAt is when it becomes void. A cancel must have one: it may wait for a task that never comes.
	ExpiresAt *Time `json:"expires_at,omitzero"`
	// Off lifts a kill switch.
	Off bool `json:"off,omitzero"`
	// Deleted says, on a cancel, that what the OpenAI door shows of the task was deleted by its user.
	Deleted bool `json:"deleted,omitzero"`
	// Limits of kind limits replace the ones before.
	Limits *Limits `json:"limits,omitzero"`

	Unknown jsontext.Value `json:",embed"`
}

// Target names one task (UserID and TaskID), all tasks of a name, a service
// (Mode and Service), a user or a lane. Only the members of its type are set.
type Target struct {
	Type     TargetType `json:"type"`
	UserID   string     `json:"user_id,omitzero"`
	TaskID   string     `json:"task_id,omitzero"`
	TaskName string     `json:"task_name,omitzero"`
	Mode     string     `json:"mode,omitzero"`
	Service  string     `json:"service,omitzero"`
	Lane     string     `json:"lane,omitzero"`
}

// Limits bound how much of a target runs in each processor of the lane; nil is no limit. They are not divided among
// processors: three of them may run three times as much.
type Limits struct {
	MaxRunning    *int64   `json:"max_running,omitzero"`
	MaxStartsPerS *float64 `json:"max_starts_per_s,omitzero"`
}

// CancelLifetime is how long a cancel waits for its task: as long as a lane keeps one.
const CancelLifetime = 7 * 24 * time.Hour

// NewCancel is a cancel of a task by somebody, who may be nobody known.
func NewCancel(task TaskKey, by string, now time.Time) *Control {
	expires := AtTime(now.Add(CancelLifetime))
	return &Control{
		Kind: ControlCancel, Target: Target{Type: TargetTask, UserID: task.UserID, TaskID: task.TaskID},
		Time: AtTime(now), By: by, ExpiresAt: &expires,
	}
}

// InvalidControlError says what is wrong with a control record.
type InvalidControlError struct {
	Field   string // as in [InvalidTaskError]
	Problem string
	// Unknown says that Field is no member of a control; [ControlFields] are.
	Unknown bool

	err error // of the JSON decoder, nil for what can be decoded
}

// Unwrap is the JSON decoder's error, nil if it had none.
func (e *InvalidControlError) Unwrap() error { return e.err }

func (e *InvalidControlError) Error() string {
	if e.Field == "" {
		return "invalid control record: " + e.Problem
	}
	return "invalid control record: " + e.Field + " " + e.Problem
}

// DecodeControl reads and checks a control record, by the rules of
// control.schema.json. Its error is always an *[InvalidControlError].
func DecodeControl(b []byte) (*Control, error) {
	c, err := decodeControl(b, false)
	if err != nil {
		return nil, err
	}
	if field, problem := c.Check(); problem != "" {
		return nil, &InvalidControlError{Field: field, Problem: problem}
	}
	return c, nil
}

// DecodeControlRequest reads a control that somebody asks for now, and leaves what is
// missing, such as its time, and the [Control.Check] to who takes it. A record may come from
// a newer version; a request with a member that this version does not know is refused: a limit
// with a typo would lift the one in force, an expires_at with one would never come.
func DecodeControlRequest(b []byte) (*Control, error) { return decodeControl(b, true) }

func decodeControl(b []byte, strict bool) (*Control, error) {
	if text := bytes.TrimSpace(b); len(text) > 0 && string(text) == "null" {
		return nil, &InvalidControlError{Problem: "the value is null; send one JSON object"}
	}
	c := new(Control)
	if err := json.Unmarshal(b, c, json.RejectUnknownMembers(strict)); err != nil {
		return nil, explainControl(err)
	}
	if strict && len(c.Unknown) > 0 { // json rejects only what has no place to be kept
		return nil, unknownControlMember(memberNames(c.Unknown)[0])
	}
	return c, nil
}

func explainControl(err error) *InvalidControlError {
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return unknownControlMember(dotted(semantic.JSONPointer))
	case semantic != nil:
		return &InvalidControlError{Field: dotted(semantic.JSONPointer), Problem: mistyped(semantic)}
	}
	return &InvalidControlError{Problem: "the value is not valid JSON: " + shown(err.Error()), err: err}
}

// mistyped says what a control's member of a wrong type should be. Its only numbers are those of the limits.
func mistyped(e *json.SemanticError) string {
	switch {
	case e.Err == nil:
		return "must not be " + kindName(e.JSONKind)
	case e.GoType == reflect.TypeFor[int64]():
		return fmt.Sprintf("must be a whole number from 0 to %d in plain digits, not %s", maxControlRate,
			cut(string(e.JSONValue), maxQuoted))
	case e.GoType == reflect.TypeFor[float64]():
		return startsRule
	}
	return "is wrong: " + shown(e.Err.Error())
}

// unknownControlMember says of a request's member what could stand in its place. The
// time is not among it: it is set by who takes the request.
func unknownControlMember(field string) *InvalidControlError {
	problem := "is not known; a control has kind, target, by, reason, expires_at, off, deleted and limits"
	switch {
	case strings.HasPrefix(field, "target."):
		problem = "is not known; a target has type and, for it, user_id, task_id, task_name, mode, service or lane"
	case strings.HasPrefix(field, "limits."):
		problem = "is not known; limits have max_running and max_starts_per_s"
	}
	return &InvalidControlError{Field: shown(field), Problem: problem, Unknown: true}
}

// ControlFields lists the members that a request for a control can have, those of target and limits in dotted form.
func ControlFields() []string {
	return []string{
		"kind", "target", "target.type", "target.user_id", "target.task_id", "target.task_name", "target.mode",
		"target.service", "target.lane",
		"by", "reason", "expires_at", "off", "deleted", "limits", "limits.max_running", "limits.max_starts_per_s",
	}
}

// Holds reports whether the control lets nothing of its target start, for as long as
// it is in force: a pause, or a limit of none at a time.
func (c *Control) Holds() bool {
	limited := c.Kind == ControlLimits && c.Limits != nil && c.Limits.MaxRunning != nil && *c.Limits.MaxRunning == 0
	return c.Kind == ControlPause || limited
}

// Encode is the record's wire form, after a check.
func (c *Control) Encode() ([]byte, error) {
	if field, problem := c.Check(); problem != "" {
		return nil, &InvalidControlError{Field: field, Problem: problem}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode control %s: %w", c.Key(), err)
	}
	return b, nil
}

// Key is the record's key: kind/target. A resume has the key of the pause it ends, so that compaction, which keeps
// the last record of a key, forgets the pause.
func (c *Control) Key() string {
	kind := c.Kind
	if kind == ControlResume {
		kind = ControlPause
	}
	return string(kind) + "/" + c.Target.String()
}

// String is the target's part of the key: its type and its names, separated by
// slashes, the names escaped as in a URL's path: "task/alice/t-1".
func (t Target) String() string {
	parts := []string{string(t.Type)}
	for _, m := range t.members() {
		if m.of == t.Type {
			parts = append(parts, url.PathEscape(*m.value))
		}
	}
	return strings.Join(parts, "/")
}

// TaskKey is the task of a target of type task.
func (t Target) TaskKey() TaskKey { return TaskKey{t.UserID, t.TaskID} }

// ParseTarget reads the target's part of a key, as String writes it.
func ParseTarget(text string) (Target, error) {
	names := strings.Split(text, "/")
	target := Target{Type: TargetType(names[0])}
	names = names[1:]
	for _, m := range target.members() {
		if m.of != target.Type || len(names) == 0 {
			continue
		}
		name, err := url.PathUnescape(names[0])
		if err != nil {
			return Target{}, fmt.Errorf("target %.200q: %w", text, err)
		}
		*m.value, names = name, names[1:]
	}
	if field, problem := target.check(); problem != "" {
		return Target{}, &InvalidControlError{Field: field, Problem: problem}
	}
	if len(names) > 0 {
		return Target{}, &InvalidControlError{Field: "target",
			Problem: "has more names than a target of type " + string(target.Type) + "; write / in a name as %2F"}
	}
	return target, nil
}

// targetMember is a member of a target that belongs to a type.
type targetMember struct {
	of    TargetType
	name  string
	value *string
}

// members are in the order of the key.
func (t *Target) members() []targetMember {
	return []targetMember{
		{TargetTask, "user_id", &t.UserID}, {TargetTask, "task_id", &t.TaskID},
		{TargetTaskName, "task_name", &t.TaskName},
		{TargetService, "mode", &t.Mode}, {TargetService, "service", &t.Service},
		{TargetUser, "user_id", &t.UserID},
		{TargetLane, "lane", &t.Lane},
	}
}
