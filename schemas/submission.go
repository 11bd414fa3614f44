package schemas

import "github.com/go-json-experiment/json/jsontext"

// Submission is a task as somebody submits it: with its lane, and perhaps without what the server fills in. It is
// read once, by the reader of the lanes, and becomes the lane's record when the members that are missing are added.
type Submission struct {
	// Lane is what is named as the lane, "" if nothing is. A task has no such member.
	Lane string

	reader taskReader
	// record is the task's object without its closing brace. What the reader has taken from it are parts of it.
	record []byte
	// What may be left out, or be null, and is added then.
	hasTaskID, hasUserID, hasCreatedAt bool
}

// roomToAdd is what the members that are added take in nearly every task, in bytes.
const roomToAdd = 192

// ReadSubmission reads a submission. Its error is the decoder's (*jsontext.SyntacticError) for what is no JSON, and
// an *[InvalidTaskError] for what is no object; what is wrong with the task is said by [Submission.Task].
func ReadSubmission(body []byte) (*Submission, error) {
	// Without white space and escapes: on a lane a task is one line.
	plain, err := jsontext.AppendFormat(make([]byte, 0, len(body)), body)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is the caller's to put into words
	}
	if kind := jsontext.Value(plain).Kind(); kind != jsontext.KindBeginObject {
		return nil, &InvalidTaskError{Problem: "the value is " + kindName(kind) + "; " + topLevelAdvice(kind, plain)}
	}
	s := &Submission{record: append(make([]byte, 0, len(plain)+roomToAdd), '{')}
	for scan := enter(plain); ; {
		quoted, value, ok := scan.member()
		if !ok {
			return s, nil
		}
		s.take(quoted, value)
	}
}

func (s *Submission) take(quoted, value jsontext.Value) {
	name, kind := Plain(quoted), value.Kind()
	has := s.has(string(name))
	switch {
	case has != nil && kind == jsontext.KindNull:
	case has != nil:
		*has = true
		s.put(quoted, value)
	case string(name) != "lane":
		s.put(quoted, value)
	case kind == jsontext.KindString:
		s.Lane = Unquote(value)
	case kind != jsontext.KindNull:
		s.Lane = string(value) // of another type, so it is none that there is
	}
}

// has is whether a member that may be added is there, nil for any other.
func (s *Submission) has(name string) *bool {
	switch name {
	case "task_id":
		return &s.hasTaskID
	case "user_id":
		return &s.hasUserID
	case "created_at":
		return &s.hasCreatedAt
	}
	return nil
}

// put appends a member to the record and reads it from there.
func (s *Submission) put(quoted, value jsontext.Value) {
	if len(s.record) > 1 {
		s.record = append(s.record, ',')
	}
	start := len(s.record)
	s.record = append(append(s.record, quoted...), ':')
	middle := len(s.record)
	s.record = append(s.record, value...)
	end := len(s.record)
	s.reader.member(s.record[start:middle-1:middle-1], s.record[middle:end:end])
}

// Has reports whether task_id, user_id or created_at is given, right or wrong.
func (s *Submission) Has(name string) bool { return *s.has(name) }

// Add gives one of those that the submission has not.
func (s *Submission) Add(name string, value jsontext.Value) {
	s.take(jsontext.Value(`"`+name+`"`), value)
}

// TaskID is the task's id so far, "" if it has none that can be one.
func (s *Submission) TaskID() string { return s.reader.task.TaskID }

// UserID is the task's user so far, "" if there is none that can be one.
func (s *Submission) UserID() string { return s.reader.task.UserID }

// Record is what to put on the lane. It shares memory with the task.
func (s *Submission) Record() []byte { return append(s.record[:len(s.record):cap(s.record)], '}') }

// Task checks the task, by the rules of [DecodeTask] but for its size. The error is an *[InvalidTaskError].
func (s *Submission) Task() (*Task, error) {
	r := &s.reader
	if r.problem == "" {
		r.field, r.problem = r.task.check()
	}
	if r.problem != "" {
		return nil, r.refusal()
	}
	return &r.task, nil
}
