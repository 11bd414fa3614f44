package checker

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// task is as much of a lane record as the checker needs.
type task struct {
	userID, taskID string
	maxAttempts    int
	notBefore      time.Time
	// content is the key of a unique task whose claim outlasts any run, else "".
	content string
}

// outlasting is how long a claim has to hold for that.
const outlasting = 24 * time.Hour

var taskIDForm = regexp.MustCompile(`^[A-Za-z0-9._:@~-]{1,200}$`)

// unseen are the characters that no user's id has: controls, the separators of
// lines and paragraphs, marks of direction and of byte order.
func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || r == '\ufeff'
}

// readTask reads a lane record's value. False if it is not plainly a task with
// usable ids: bad JSON, members given twice, ids of another form. Such a record
// owes nobody an event, but a dead letter.
func readTask(value []byte) (task, bool) {
	if !utf8.Valid(value) {
		return task{}, false
	}
	members, ok := readMembers(value)
	if !ok {
		return task{}, false
	}
	var t task
	if json.Unmarshal(members["user_id"], &t.userID) != nil || json.Unmarshal(members["task_id"], &t.taskID) != nil {
		return task{}, false
	}
	// Half a surrogate pair is no text; encoding/json makes something else of it.
	if strings.ContainsRune(t.userID, utf8.RuneError) && !bytes.ContainsRune(members["user_id"], utf8.RuneError) {
		return task{}, false
	}
	if n := utf8.RuneCountInString(t.userID); n < 1 || n > 200 || !taskIDForm.MatchString(t.taskID) {
		return task{}, false
	}
	if strings.ContainsFunc(t.userID, unseen) {
		return task{}, false
	}
	t.maxAttempts = 3
	var retry struct {
		MaxAttempts *int `json:"max_attempts"`
	}
	if json.Unmarshal(members["retry"], &retry) == nil && retry.MaxAttempts != nil {
		t.maxAttempts = *retry.MaxAttempts
	}
	var unique struct {
		TTL int64  `json:"ttl_ms"`
		Key string `json:"key"`
	}
	if json.Unmarshal(members["unique"], &unique) == nil && unique.TTL >= outlasting.Milliseconds() {
		t.content = unique.Key
	}
	_ = json.Unmarshal(members["not_before"], &t.notBefore) // not a time: an invalid task, which never runs
	return t, true
}

// readMembers reads an object. False if the value is none, or names a member
// twice.
func readMembers(value []byte) (map[string]json.RawMessage, bool) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		text, isText := name.(string)
		if _, twice := members[text]; err != nil || !isText || twice {
			return nil, false
		}
		var member json.RawMessage
		if decoder.Decode(&member) != nil {
			return nil, false
		}
		members[text] = member
	}
	return members, json.Valid(value)
}

// event is as much of an event as the checker needs.
type event struct {
	UserID  string `json:"user_id"`
	TaskID  string `json:"task_id"`
	Kind    string `json:"kind"`
	Status  string `json:"status"`
	Attempt int    `json:"attempt"`
	Worker  string `json:"worker"`
	Code    string `json:"error_code"`
	Of      string `json:"duplicate_of"`
	Waiting *struct {
		For string `json:"for"`
	} `json:"waiting"`
}

// terminal reports whether the event ends its task.
func (e *event) terminal() bool {
	if e.Kind != "state" {
		return false
	}
	switch e.Status {
	case "completed", "failed", "timed_out", "cancelled":
		return true
	}
	return false
}
