package schemas

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func uniqueTask(change func(*Task)) *Task {
	t := &Task{
		TaskID: "a", UserID: "u", TaskName: "n", Mode: "m", Service: "s", Unique: &Unique{TTLMS: 1000},
		InputData: jsontext.Value(`{"a":1,"b":[{"c":"é","d":null}]}`),
	}
	change(t)
	return t
}

// What is the same to its sender has the same sum, and nothing else has.
func TestContentSumTellsApart(t *testing.T) {
	first := uniqueTask(func(*Task) {}).ContentSum()
	input := func(text string) func(*Task) { return func(t *Task) { t.InputData = jsontext.Value(text) } }
	for name, change := range map[string]func(*Task){
		"another id":             func(t *Task) { t.TaskID = "b" },
		"another time to live":   func(t *Task) { t.Unique.TTLMS = 2000 },
		"another context":        func(t *Task) { t.Context = jsontext.Value(`{"language":"de"}`) },
		"another order, spaces":  input(` { "b" : [ {"d":null, "c":"\u00e9"} ], "a" : 1 }`),
		"another priority, step": func(t *Task) { t.Priority, t.Step = new(int), new(int) },
	} {
		if uniqueTask(change).ContentSum() != first {
			t.Errorf("%s: it is not the same", name)
		}
	}
	seen := map[[16]byte]string{first: "itself", {}: "no unique"}
	for name, change := range map[string]func(*Task){
		"user":            func(t *Task) { t.UserID = "v" },
		"mode":            func(t *Task) { t.Mode = "ms" },
		"service":         func(t *Task) { t.Service = "t" },
		"split names":     func(t *Task) { t.Mode, t.Service = "ms", "" },
		"name":            func(t *Task) { t.TaskName = "o" },
		"order of a list": input(`{"a":1,"b":[{"c":"é","d":null},0]}`),
		"large id":        input(`{"a":9007199254740993,"b":[{"c":"é","d":null}]}`),
		"next id":         input(`{"a":9007199254740992,"b":[{"c":"é","d":null}]}`),
		"no input":        func(t *Task) { t.InputData = nil },
		"key":             func(t *Task) { t.Unique.Key = "k" },
		"other key":       func(t *Task) { t.Unique.Key = "content" },
		"key of other":    func(t *Task) { t.Unique.Key, t.UserID = "k", "v" },
	} {
		sum := uniqueTask(change).ContentSum()
		if other, known := seen[sum]; known {
			t.Errorf("%s is the same as %s", name, other)
		}
		seen[sum] = name
	}
	empty := uniqueTask(input(`{}`)).ContentSum()
	if uniqueTask(input(`null`)).ContentSum() != empty || uniqueTask(input(``)).ContentSum() != empty {
		t.Error("no input_data is not the same as {}")
	}
	if uniqueTask(func(t *Task) {
		t.Unique.Key, t.TaskName = "k",
			"o"
	}).ContentSum() != uniqueTask(func(t *Task) { t.Unique.Key = "k" }).ContentSum() {
		t.Error("with a key more than the key is compared")
	}
	if uniqueTask(func(t *Task) { t.Unique = nil }).ContentSum() != [16]byte{} {
		t.Error("a task that need not be unique has a sum")
	}
}

func TestBadUniqueIsExplained(t *testing.T) {
	for value, want := range map[string]string{
		`7`:                             `unique must be an object such as {"ttl_ms": 600000}`,
		`{}`:                            "unique.ttl_ms is missing; say for how many milliseconds",
		`{"ttl_ms":0}`:                  "unique.ttl_ms must be between 1 and 31622400000",
		`{"ttl_ms":"10m"}`:              "unique.ttl_ms must be a whole number",
		`{"ttl_ms":null}`:               "unique.ttl_ms must be a whole number, not null",
		`{"ttl_ms":1,"by":["user_id"]}`: "unique.by is not known; unique has ttl_ms and key",
		`{"ttl_ms":1,"key":"` + strings.Repeat("k", 201) + `"}`: "unique.key must have at most 200 characters",
		`{"ttl_ms":1,"key":[]}`:                                 "unique.key must be a string",
	} {
		_, err := DecodeTask([]byte(`{"task_id":"a","user_id":"u","task_name":"n","mode":"m","service":"s","unique":` +
			value + `}`))
		if invalid := (*InvalidTaskError)(nil); !errors.As(err, &invalid) ||
			!strings.HasPrefix(err.Error(), "invalid task: "+want) {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
	task, err := DecodeTask([]byte(`{"task_id":"a","user_id":"u","task_name":"n","mode":"m","service":"s",` +
		`"unique":{"ttl_ms":1e3,"key":null}}`))
	if err != nil || *task.Unique != (Unique{TTLMS: 1000}) {
		t.Errorf("%v, %v", task, err)
	}
}
