package schemas

import (
	"fmt"
	"net/url"
	"strings"
)

// TaskKey is who a task is: ids of tasks are their users' own. It can be compared, and as
// an embedded field it is the members user_id and task_id of a JSON object.
type TaskKey struct {
	UserID string `json:"user_id"`
	TaskID string `json:"task_id"`
}

// Key is who the task is.
func (t *Task) Key() TaskKey { return TaskKey{t.UserID, t.TaskID} }

// Key is whose task's the event is.
func (e *Event) Key() TaskKey { return TaskKey{e.UserID, e.TaskID} }

// Check says which of the two ids is at fault and why; the problem is "" if none is.
func (k TaskKey) Check() (field, problem string) {
	if p := checkUserID(k.UserID); p != "" {
		return "user_id", p
	}
	return "task_id", checkTaskID(k.TaskID)
}

// String is the two ids with a slash between, escaped as in a URL's path: "alice/t-1". It is
// how a [Target] of one task ends.
func (k TaskKey) String() string { return url.PathEscape(k.UserID) + "/" + url.PathEscape(k.TaskID) }

// ParseTaskKey reads what String writes, of ids that a task may have.
func ParseTaskKey(text string) (TaskKey, error) {
	user, task, found := strings.Cut(text, "/")
	if !found || strings.Contains(task, "/") {
		return TaskKey{}, fmt.Errorf(
			"task %.200q: want a user's id and a task's id with a slash between; write / in an id as %%2F", text)
	}
	var k TaskKey
	var err error
	for _, id := range []struct {
		text string
		to   *string
	}{{user, &k.UserID}, {task, &k.TaskID}} {
		if *id.to, err = url.PathUnescape(id.text); err != nil {
			return TaskKey{}, fmt.Errorf("task %.200q: %w", text, err)
		}
	}
	if field, problem := k.Check(); problem != "" {
		return TaskKey{}, fmt.Errorf("task %.200q: %s %s", text, field, problem)
	}
	return k, nil
}
