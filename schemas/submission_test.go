package schemas

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const submitted = `"user_id":"ada","task_name":"answer","mode":"chat","service":"assistant"`

// TestSubmissionIsReadAsItsRecord: a task is read once, from what the sender wrote, and
// whoever reads its record from the lane reads the same, or refuses it for the same reason.
func TestSubmissionIsReadAsItsRecord(t *testing.T) {
	members := memberGenerators()
	members["lane"] = rapid.OneOf(rawOf(`"fast"`, `"gpu"`), anyRaw())
	var accepted, refused int
	rapid.Check(t, func(t *rapid.T) {
		required := rapid.SampledFrom([][]string{
			{"task_id", "user_id", "task_name", "mode", "service"}, {"user_id", "task_name", "mode", "service"}, {"task_name",
				"mode", "service"},
		}).Draw(t, "required")
		value := []byte(objectRaw(t, members, required))
		if rapid.Bool().Draw(t, "spread out") {
			must(t, (*jsontext.Value)(&value).Indent())
		}
		s, err := ReadSubmission(value)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		for _, name := range []string{"task_id", "user_id", "created_at"} {
			if raw := memberOf(value, name); s.Has(name) != (raw != nil && raw.Kind() != jsontext.KindNull) {
				t.Fatalf("%s: Has(%s) is %v", value, name, s.Has(name))
			}
			if !s.Has(name) && rapid.Bool().Draw(t, "add "+name) {
				added := map[string]string{"task_id": `"t-1"`, "user_id": `"ada"`, "created_at": `"2026-01-31T09:30:00Z"`}
				s.Add(name, jsontext.Value(added[name]))
			}
		}
		record := s.Record()
		if memberOf(record, "lane") != nil || !jsontext.Value(record).IsValid() || bytes.ContainsAny(record, "\n") {
			t.Fatalf("the record of %s is %s", value, record)
		}
		task, err := s.Task()
		want, wantErr := DecodeTask(record)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v, of the record: %v", value, err, wantErr)
		}
		if err != nil {
			refused++
			var one, other *InvalidTaskError
			if !errors.As(err, &one) || !errors.As(wantErr, &other) || one.Field != other.Field || one.Problem != other.Problem {
				t.Fatalf("%s: %v, of the record: %v", value, err, wantErr)
			}
			return
		}
		accepted++
		if diff := cmp.Diff(want, task); diff != "" {
			t.Fatalf("%s is read otherwise than its record (-):\n%s", value, diff)
		}
		if task.TaskID != s.TaskID() || task.UserID != s.UserID() || !SameTask(record, record) {
			t.Fatalf("%s: %s of %s", value, s.TaskID(), s.UserID())
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: nothing was tried", accepted, refused)
	}
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func memberOf(object []byte, name string) jsontext.Value {
	for found, value := range Members(object) {
		if string(found) == name {
			return value
		}
	}
	return nil
}

func TestSubmissionsRecord(t *testing.T) {
	for body, want := range map[string]string{
		`{"lane":"fast",` + submitted + `}`:                          `{` + submitted,
		`{` + submitted + `,"lane":"fast"}`:                          `{` + submitted,
		`{"x":1,"lane":null,"task_id":null,` + submitted + `}`:       `{"x":1,` + submitted,
		"{ \"lane\" : \"fast\" ,\n" + submitted + " }":               `{` + submitted,
		`{"la\u006ee":"fast",` + submitted + `}`:                     `{` + submitted,
		`{"lane":"fast","labels":{"\u0061":"\/"},` + submitted + `}`: `{"labels":{"a":"/"},` + submitted,
	} {
		s, err := ReadSubmission([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		s.Add("task_id", jsontext.Value(`"t-1"`))
		if got := string(s.Record()); got != want+`,"task_id":"t-1"}` {
			t.Errorf("%s becomes %s", body, got)
		}
		if task, err := s.Task(); err != nil || task.TaskID != "t-1" || s.Lane != "fast" && !strings.Contains(body, "null") {
			t.Errorf("%s: %+v, %v on lane %q", body, task, err, s.Lane)
		}
	}
}

// What is no task at all is said by the reading, and everything that is sent to be passed
// on is what the sender wrote.
func TestSubmissionsThatAreNone(t *testing.T) {
	for _, body := range []string{"", " ", "{", `{"a":1,"a":2}`, `{"lane":"fast"}{}`, "{\"a\":\"\xff\"}", "hello"} {
		_, err := ReadSubmission([]byte(body))
		var syntax *jsontext.SyntacticError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, body := range []string{"[]", "null", "7", `"text"`, `"{\"lane\":\"fast\"}"`} {
		_, err := ReadSubmission([]byte(body))
		var invalid *InvalidTaskError
		if !errors.As(err, &invalid) || invalid.Field != "" {
			t.Errorf("%s: %v", body, err)
		}
	}
	for lane, want := range map[string]string{`5`: "5", `["fast"]`: `["fast"]`, `""`: "", `null`: ""} {
		if s, err := ReadSubmission([]byte(`{"lane":` + lane + `}`)); err != nil || s.Lane != want {
			t.Errorf("lane %s: %+v, %v", lane, s, err)
		}
	}
}

func FuzzReadSubmission(f *testing.F) {
	seed(f, "testdata/bad/*.bin", "testdata/task/*.json")
	f.Add([]byte(`{"lane":"fast","task_id":null,` + submitted + `}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ReadSubmission(body)
		if err != nil {
			return
		}
		if !s.Has("task_id") {
			s.Add("task_id", jsontext.Value(`"t-1"`))
		}
		task, err := s.Task()
		record := s.Record()
		if len(record) > MaxTaskBytes {
			return
		}
		want, wantErr := DecodeTask(record)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v, of the record %s: %v", body, err, record, wantErr)
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Fatalf("not for an answer: %q", err)
			}
			return
		}
		if diff := cmp.Diff(want, task); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkReadSubmission(b *testing.B) {
	value := []byte(`{"lane":"fast",` + typicalTask[1:])
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		s, err := ReadSubmission(value)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Task(); err != nil {
			b.Fatal(err)
		}
	}
}

// Two requests for a task are the same whenever they were made.
func TestSameTask(t *testing.T) {
	for pair, same := range map[[2]string]bool{
		{`{"a":1,"created_at":"x"}`, `{"a":1,"created_at":"y"}`}:       true,
		{`{"a":1}`, `{"created_at":"y","a":1.0}`}:                      true,
		{`{"created_at":"x"}`, `{}`}:                                   true,
		{`{"a":1,"creat\u0065d_at":"x"}`, `{"a":1}`}:                   true,
		{`{"a":1}`, `{"a":2}`}:                                         false,
		{`{"a":{"created_at":"x"}}`, `{"a":{"created_at":"y"}}`}:       false,
		{`{"a":1,"b":null}`, `{"a":1}`}:                                false,
		{`{"a":0.1}`, `{"a":0.10000000000000000001,"created_at":"x"}`}: false,
	} {
		if got := SameTask([]byte(pair[0]), []byte(pair[1])); got != same {
			t.Errorf("%s and %s: %v", pair[0], pair[1], got)
		}
	}
}

// deflated is an object as a compressor writes it.
func deflated[W io.WriteCloser](t *testing.T, make func(io.Writer, int) (W, error), level int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := make(&b, level)
	if err == nil {
		_, err = io.WriteString(w, `{"task_id":"t-1","user_id":"alice","task_name":"n","mode":"m","service":"s"}`)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every format is told by its beginning, whichever way it came, and the advice for what
// is compressed is that of the way.
func TestForeignFormat(t *testing.T) {
	const compressed = "send it plain"
	for value, want := range map[string]string{
		"\xef\xbb\xbf{}": "starts with a byte order mark", "\xff\xfe\x00\x00{": "is UTF-32", "\x00\x00\xfe\xff": "is UTF-32",
		"{\x00\x00\x00\"": "is UTF-32", "\x00\x00\x00{": "is UTF-32", "\xff\xfe{\x00": "is UTF-16",
		"\xfe\xff\x00{": "is UTF-16",
		"{\x00\"\x00":   "is UTF-16", "\x00{\x00\"": "is UTF-16", "\x1f\x8b\x08": "is gzip; " + compressed,
		"\x28\xb5\x2f\xfd": "is zstd; " + compressed,
		"\x80\x04\x95":     "is a Python pickle", "\xac\xed\x00\x05": "is a serialized Java object",
		"\x00\x00\x00\x00\x01{": "starts with a zero byte",
		"\x04\x22\x4d\x18@@":    "is LZ4; " + compressed, "BZh91AY": "is bzip2; " + compressed,
		"\xfd7zXZ\x00\x00": "is xz; " + compressed, "PK\x03\x04\x14": "is a zip file; " + compressed,
		"\xff\x06\x00\x00sNaPpY":            "is Snappy; " + compressed,
		deflated(t, zlib.NewWriterLevel, 1): "is zlib (deflate); " + compressed,
		deflated(t, zlib.NewWriterLevel, 6): "is zlib (deflate); " + compressed,
		deflated(t, zlib.NewWriterLevel, 9): "is zlib (deflate); " + compressed,
		deflated(t, flate.NewWriter, 1):     "is raw deflate; " + compressed,
		deflated(t, flate.NewWriter, 9):     "is raw deflate; " + compressed,
		// Brotli, of a short and of a long object.
		"\x0b\x02\x80{\"a\":1}\x03":             "is no text; if it is compressed (Brotli",
		"[\xff\xff\x0f\xa0\x88\xc2\x6e\x9b\x01": "is no text; if it is compressed (Brotli",
		"{":                                     "", "hello": "", "": "", "x{}": "", "xml": "", "{\"a\":\"\xff\"}": "",
		"[\"\x01\"]": "",
		"BZ":         "", "世界": "", strings.Repeat(" ", 63) + "世": "", "\r\n\t{": "", "{\"text\":\"\x80\x81\"": "",
	} {
		got := ForeignFormat([]byte(value), compressed)
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q %s", value, got)
		}
		if want != "" {
			if _, err := DecodeTask([]byte(value)); err == nil || !strings.Contains(err.Error(),
				strings.TrimSuffix(want, compressed)) {
				t.Errorf("as a record %q is refused with %v", value, err)
			}
		}
	}
}
