package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Unique lets a task run only if none with the same content holds a claim in its shard (docs/DELIVERY.md says what
// that is worth). Its claim holds for TTLMS milliseconds from the time of the task's record, while the task is
// unfinished or completed. The content is the user with Key, or without one with mode, service, task_name and
// input_data.
type Unique struct {
	TTLMS int64  `json:"ttl_ms"`
	Key   string `json:"key,omitzero"`
}

// TTL is how long the claim holds.
func (u *Unique) TTL() time.Duration { return time.Duration(u.TTLMS) * time.Millisecond }

// ContentSum is what a task is compared by under [Unique]: equal for equal content, whatever the order of members
// and the white space in input_data. Numbers are compared as they are written: as floating point, large ids would be
// the same. The hash is cryptographic because senders choose what goes in, and a collision would suppress a task. It
// is zero for a task without Unique.
func (t *Task) ContentSum() (sum [16]byte) {
	if t.Unique == nil {
		return sum
	}
	parts := [][]byte{[]byte("content"), []byte(t.UserID), []byte(t.Mode), []byte(t.Service), []byte(t.TaskName),
		inOrder(t.InputData)}
	if t.Unique.Key != "" {
		parts = [][]byte{[]byte("key"), []byte(t.UserID), []byte(t.Unique.Key)}
	}
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		h.Write(part)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// inOrder is an object as it is compared: nothing and null are {}.
func inOrder(object jsontext.Value) jsontext.Value {
	if len(object) == 0 || object.Kind() == jsontext.KindNull {
		return jsontext.Value("{}")
	}
	ordered := object.Clone()
	if plain(&ordered) != nil {
		return object // not JSON, which a task that was checked does not have
	}
	return ordered
}

func (r *taskReader) readUnique(value jsontext.Value) {
	if value.Kind() != jsontext.KindBeginObject {
		r.mismatch("unique", `an object such as {"ttl_ms": 600000}`, value)
		return
	}
	u := new(Unique)
	r.task.Unique = u
	var ttl *int64
	for text, value := range Members(value) {
		switch name := string(text); {
		case name == "ttl_ms" && value.Kind() == jsontext.KindNull:
			r.note("unique.ttl_ms", "must be a whole number, not null")
		case name == "ttl_ms":
			readNumber(r, "unique.ttl_ms", value, &ttl)
		case name == "key":
			r.readText([]byte("unique.key"), value, &u.Key)
		default:
			// Kept and not understood it could suppress tasks that are not the same.
			r.note("unique."+shown(name), "is not known; unique has ttl_ms and key")
		}
	}
	if ttl == nil {
		r.note("unique.ttl_ms", missing+"; say for how many milliseconds no other task with the same content is to run")
		return
	}
	u.TTLMS = *ttl
}

func (u *Unique) check() (field, problem string) {
	if u == nil {
		return "", ""
	}
	if p := checkRange(&u.TTLMS, 1, maxTTLMS); p != "" {
		return "unique.ttl_ms", p
	}
	return "unique.key", checkLength(u.Key, maxNameChars)
}
