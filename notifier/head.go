package notifier

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

var (
	errNoObject  = errors.New("the value is not one valid JSON object")
	errOtherUser = errors.New("the value's user_id is not the record's key")
	errNoTask    = errors.New("the value has no task_id")
	errCursor    = errors.New("the value has a member named cursor or subscription, which are the notifier's")
)

// eventHead is what is read of an event's JSON. Its values stand in the event, or
// next to it where they have escapes.
type eventHead struct {
	taskID, userID, kind, batchID []byte
	attempt, output               jsontext.Value
	// ours are members that only the notifier gives an event.
	ours bool
}

// readHead reads it where it stands: every event that anybody watches passes here.
func readHead(value []byte) (h eventHead, err error) {
	if object := jsontext.Value(value); !object.IsValid() || object.Kind() != jsontext.KindBeginObject {
		return h, errNoObject
	}
	for name, value := range schemas.Members(value) {
		switch string(name) {
		case "task_id":
			h.taskID, err = wantText("task_id", value, err)
		case "user_id":
			h.userID, err = wantText("user_id", value, err)
		case "kind":
			h.kind, err = wantText("kind", value, err)
		case "batch_id":
			h.batchID = text(value)
		case "attempt":
			h.attempt = value
		case "output":
			h.output = value
		case "cursor", "subscription":
			h.ours = true
		}
	}
	return h, err
}

// wantText is a string's value, none for null. An earlier error stays.
func wantText(name string, v jsontext.Value, earlier error) ([]byte, error) {
	if kind := v.Kind(); kind != jsontext.KindString && kind != jsontext.KindNull && earlier == nil {
		return nil, fmt.Errorf("the value's %s is no text", name)
	}
	return text(v), earlier
}

// text is a JSON string's value, none for any other value.
func text(v jsontext.Value) []byte {
	if v.Kind() != jsontext.KindString {
		return nil
	}
	return schemas.Plain(v)
}
