package history

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// readEvent is the event of user u in a value, nil if it is none.
func readEvent(value string) (*Event, error) {
	e := new(Event)
	ok, err := e.Read([]byte("u"), []byte(value), time.Unix(1, 0))
	if !ok {
		return nil, err
	}
	return e, err
}

func TestReadEvent(t *testing.T) {
	const named = `{"task_id":"t","user_id":"u"`
	for name, c := range map[string]struct {
		value string
		says  string // of the error, "" for an event
	}{
		"an event":                   {named + `,"kind":"state","batch_id":null,"input":{"cursor":1,"task_id":[2]}}`, ""},
		"white space around":         {"\n" + named + "}\r\n ", ""},
		"escapes":                    {`{"task\u005fid":"\u0074","user_id":"\u0075"}`, ""},
		"no kind":                    {named + `,"kind":null}`, ""},
		"another's":                  {`{"task_id":"t","user_id":"v"}`, errOtherUser.Error()},
		"nobody's":                   {`{"task_id":"t"}`, errOtherUser.Error()},
		"no task":                    {`{"user_id":"u","task_id":null}`, errNoTask.Error()},
		"a cursor of its own":        {named + `,"cursor":"x"}`, ErrOwnMember.Error()},
		"a cursor in disguise":       {named + `,"\u0063ursor":null}`, ErrOwnMember.Error()},
		"a subscription":             {named + `,"subscription":1}`, ErrOwnMember.Error()},
		"two users":                  {named + `,"user_id":"v"}`, errNoObject.Error()},
		"two users, one in disguise": {named + `,"user\u005fid":"v"}`, errNoObject.Error()},
		"a task that is a number":    {`{"task_id":7,"user_id":"u"}`, "task_id is no text"},
		"a user that is a list":      {`{"task_id":"t","user_id":["u"]}`, "user_id is no text"},
		"a kind that is an object":   {named + `,"kind":{}}`, "kind is no text"},
		"a list":                     {`["task_id"]`, errNoObject.Error()},
		"two objects":                {named + "}{}", errNoObject.Error()},
		"half an object":             {named, errNoObject.Error()},
		"text that is not UTF-8":     {named + ",\"x\":\"\xff\"}", errNoObject.Error()},
		"nothing":                    {"", errNoObject.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := readEvent(c.value)
			switch {
			case c.says == "" && (err != nil || e == nil || string(e.TaskID) != "t"):
				t.Errorf("%+v, %v", e, err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%+v, %v, want an error that says %q", e, err, c.says)
			}
		})
	}
	for _, kind := range []string{"fence", "mark", "repeat", "checkpoint"} {
		if e, err := readEvent(`{"kind":"` + kind + `"}`); e != nil || err != nil {
			t.Errorf("%s: %v, %v; it is nobody's event", kind, e, err)
		}
	}
	if _, err := readEvent("{"); !errors.Is(err, errNoObject) {
		t.Error(err)
	}
}
