package schemas

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// taskReader reads a task from JSON that is known to be valid. A member of a wrong type is noted and the rest read
// all the same: the ids may come after it. It is written by hand because it runs for every task: it takes half the
// time of reading by reflection, takes 1.0 for a whole number as JSON Schema does, and can say in the sender's words
// what is wrong.
type taskReader struct {
	task    Task
	field   string
	problem string
}

// read takes the task's members from a value, which it keeps parts of.
func (r *taskReader) read(value jsontext.Value) {
	if kind := value.Kind(); kind != jsontext.KindBeginObject {
		r.note("", "the value is "+kindName(kind)+"; "+topLevelAdvice(kind, value))
		return
	}
	for s := enter(value); ; {
		quoted, value, ok := s.member()
		if !ok {
			return
		}
		r.member(quoted, value)
	}
}

// note keeps the first thing that is wrong.
func (r *taskReader) note(field, problem string) {
	if r.problem == "" && problem != "" {
		r.field, r.problem = field, problem
	}
}

// mismatch notes a member of a wrong type; null is as good as nothing.
func (r *taskReader) mismatch(field, want string, value jsontext.Value) {
	if kind := value.Kind(); kind != jsontext.KindNull {
		r.note(field, "must be "+want+", not "+kindName(kind)+quotingAdvice(want, value))
	}
}

func (r *taskReader) member(quoted, value jsontext.Value) {
	name := Plain(quoted)
	if target := r.task.text(name); target != nil {
		r.readText(name, value, target)
		return
	}
	if target := r.task.payload(name); target != nil {
		if value.Kind() != jsontext.KindNull {
			*target = value
		}
		return
	}
	if target := r.task.instant(name); target != nil {
		r.readTime(name, value, target)
		return
	}
	switch string(name) {
	case "step":
		readNumber(r, "step", value, &r.task.Step)
	case "priority":
		readNumber(r, "priority", value, &r.task.Priority)
	case "soft_time_limit_ms":
		readNumber(r, "soft_time_limit_ms", value, &r.task.SoftTimeLimitMS)
	case "time_limit_ms":
		readNumber(r, "time_limit_ms", value, &r.task.TimeLimitMS)
	case "labels":
		r.readLabels(value)
	case "depends_on":
		r.readParents(value)
	case "retry":
		r.readRetry(value)
	case "unique":
		r.readUnique(value)
	default:
		r.task.Unknown = appendMember(r.task.Unknown, quoted, value)
	}
}

// text is the string member of that name, nil if it is none.
func (t *Task) text(name []byte) *string {
	switch string(name) {
	case "task_id":
		return &t.TaskID
	case "user_id":
		return &t.UserID
	case "task_name":
		return &t.TaskName
	case "mode":
		return &t.Mode
	case "service":
		return &t.Service
	case "version":
		return &t.Version
	case "on_dependency_failure":
		return &t.OnDependencyFailure
	case "callback_url":
		return &t.CallbackURL
	case "batch_id":
		return &t.BatchID
	case "retry_of":
		return &t.RetryOf
	}
	return nil
}

func (t *Task) payload(name []byte) *jsontext.Value {
	switch string(name) {
	case "input_data":
		return &t.InputData
	case "context":
		return &t.Context
	case "on_success":
		return &t.OnSuccess
	case "on_failure":
		return &t.OnFailure
	}
	return nil
}

func (t *Task) instant(name []byte) **Time {
	switch string(name) {
	case "not_before":
		return &t.NotBefore
	case "expires_at":
		return &t.ExpiresAt
	case "created_at":
		return &t.CreatedAt
	}
	return nil
}

func (r *taskReader) readText(name []byte, value jsontext.Value, target *string) {
	if value.Kind() != jsontext.KindString {
		r.mismatch(string(name), "a string", value)
		return
	}
	*target = Unquote(value)
}

func (r *taskReader) readTime(name []byte, value jsontext.Value, target **Time) {
	if value.Kind() != jsontext.KindString {
		r.mismatch(string(name), "a string holding an RFC 3339 time such as 2026-01-31T09:30:00Z", value)
		return
	}
	t := new(Time)
	if err := t.UnmarshalJSON(value); err != nil {
		r.note(string(name), "is wrong: "+err.Error())
		return
	}
	*target = t
}

func readNumber[T int | int64](r *taskReader, name string, value jsontext.Value, target **T) {
	if value.Kind() != jsontext.KindNumber {
		r.mismatch(name, "a whole number", value)
		return
	}
	n, ok := wholeNumber(value)
	if !ok {
		r.note(name, "must be a whole number, not "+cut(string(value), maxQuoted))
		return
	}
	*target = new(T)
	**target = T(n)
}

func (r *taskReader) readFloat(name string, value jsontext.Value, target **float64) {
	if value.Kind() != jsontext.KindNumber {
		r.mismatch(name, "a number", value)
		return
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		r.note(name, "is beyond any number that makes sense here: "+cut(string(value), maxQuoted))
		return
	}
	*target = &f
}

// appendMember appends a member to an object of the members this version does not know.
func appendMember(object, quoted, value jsontext.Value) jsontext.Value {
	if len(object) == 0 {
		object = append(object, '{')
	} else {
		object[len(object)-1] = ','
	}
	object = append(append(object, quoted...), ':')
	return append(append(object, value...), '}')
}

// Plain is the text of a valid JSON string, without a copy where it can: it must not be changed.
func Plain(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// Unquote is the text of a valid JSON string.
func Unquote(quoted jsontext.Value) string { return string(Plain(quoted)) }

func (r *taskReader) readLabels(value jsontext.Value) {
	if value.Kind() != jsontext.KindBeginObject {
		r.mismatch("labels", `an object of strings such as {"team": "support"}`, value)
		return
	}
	r.task.Labels = make(map[string]string)
	for name, label := range Members(value) {
		if label.Kind() == jsontext.KindString {
			r.task.Labels[string(name)] = Unquote(label)
		} else {
			r.note("labels."+shown(string(name)), "must be a string, not "+kindName(label.Kind())+
				quotingAdvice("a string", label))
		}
	}
}

func (r *taskReader) readParents(value jsontext.Value) {
	if value.Kind() != jsontext.KindBeginArray {
		r.mismatch("depends_on", `an array of task ids such as ["t-1"]`, value)
		return
	}
	r.task.DependsOn = []string{}
	for s := enter(value); ; {
		parent, ok := s.element()
		switch {
		case !ok:
			return
		case parent.Kind() == jsontext.KindString:
			r.task.DependsOn = append(r.task.DependsOn, Unquote(parent))
		default:
			field := "depends_on." + strconv.Itoa(len(r.task.DependsOn))
			r.note(field, "must be a task id, a string, not "+kindName(parent.Kind()))
		}
	}
}

func (r *taskReader) readRetry(value jsontext.Value) {
	if value.Kind() != jsontext.KindBeginObject {
		r.mismatch("retry", `an object such as {"max_attempts": 5, "backoff_ms": 1000}`, value)
		return
	}
	retry := new(Retry)
	r.task.Retry = retry
	for s := enter(value); ; {
		quoted, value, ok := s.member()
		if !ok {
			return
		}
		switch string(Plain(quoted)) {
		case "max_attempts":
			readNumber(r, "retry.max_attempts", value, &retry.MaxAttempts)
		case "backoff_ms":
			readNumber(r, "retry.backoff_ms", value, &retry.BackoffMS)
		case "max_backoff_ms":
			readNumber(r, "retry.max_backoff_ms", value, &retry.MaxBackoffMS)
		case "multiplier":
			r.readFloat("retry.multiplier", value, &retry.Multiplier)
		default:
			retry.Unknown = appendMember(retry.Unknown, quoted, value)
		}
	}
}
