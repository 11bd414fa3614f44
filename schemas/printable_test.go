package schemas

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// The schemas' pattern and the check are of one mind about every character.
func TestNamesHaveNoCharacterThatCannotBeSeen(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Pattern       string
			PropertyNames struct{ Pattern string }
		}
	}
	b, err := os.ReadFile("task.schema.json")
	if err == nil {
		err = json.Unmarshal(b, &schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := schema.Properties["user_id"].Pattern
	for _, member := range []string{"task_name", "mode", "service", "version", "batch_id"} {
		if schema.Properties[member].Pattern != text {
			t.Errorf("%s has the pattern %q", member, schema.Properties[member].Pattern)
		}
	}
	if schema.Properties["labels"].PropertyNames.Pattern != text {
		t.Error("names of labels have another pattern")
	}
	pattern := regexp.MustCompile(text)
	for c := range utf8.MaxRune + 1 {
		if !utf8.ValidRune(c) {
			continue
		}
		name := "a" + string(c) + "é"
		if found := unprintable(name); (found == -1) != pattern.MatchString(name) || found != -1 && found != c {
			t.Fatalf("%U: found %U, the pattern matches is %v", c, found, pattern.MatchString(name))
		}
	}
	for _, c := range "\x00\x1f\x7f\u0080\u009f\u2028\u2029\u202e\u2066\ufeff" {
		if p := CheckUserID("a" + string(c)); !strings.Contains(p, "cannot be seen") || strings.ContainsRune(p, c) {
			t.Errorf("%U: %q", c, p)
		}
	}
	if p := CheckUserID("a\xff"); !strings.Contains(p, "not UTF-8") {
		t.Errorf("%q", p)
	}
	for _, fine := range []string{"Zoë", "山田太郎", "علی\u200cرضا", "👩\u200d🚀", "a b", "tenant/7", "a\u00a0b"} {
		if p := CheckUserID(fine); p != "" {
			t.Errorf("%q: %s", fine, p)
		}
	}
}

// What is told of a refused task can be shown anywhere.
func TestARefusedTaskIsShownAsText(t *testing.T) {
	_, err := DecodeTask([]byte(`{"task_id":"t","user_id":"u","task_name":"\u001b]0;x\u0007\u202ea","mode":"m\u0000",` +
		`"service":"s"}`))
	invalid, ok := err.(*InvalidTaskError) //nolint:errorlint // it is never wrapped
	if !ok || !invalid.Identified() || invalid.Task.TaskName != "\uFFFD]0;x\uFFFD\uFFFDa" ||
		invalid.Task.Mode != "m\uFFFD" {
		t.Errorf("%v, %+v", err, invalid)
	}
	if text := err.Error(); unprintable(text) != -1 {
		t.Errorf("%q", text)
	}
}

// A control and its target keep to the same.
func TestControlsHaveNamesThatCanBeSeen(t *testing.T) {
	for _, members := range []string{
		`"target":{"type":"user","user_id":"a\u0000"}`, `"target":{"type":"task_name","task_name":"a\u2028"}`,
		`"target":{"type":"service","mode":"a","service":"b\u009b"}`,
		`"target":{"type":"task","user_id":"a\u202e","task_id":"t"}`,
		`"target":{"type":"user","user_id":"a"},"by":"ops\u0007"`,
	} {
		_, err := DecodeControl([]byte(`{"kind":"pause","time":"2026-01-31T09:30:00Z",` + members + `}`))
		if err == nil || !strings.Contains(err.Error(), "cannot be seen") {
			t.Errorf("%s: %v", members, err)
		}
	}
}
