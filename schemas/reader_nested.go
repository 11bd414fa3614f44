package schemas

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

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
			r.note("labels."+shown(string(name)), "must be a string, not "+kindName(label.Kind())+quotingAdvice("a string", label))
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
