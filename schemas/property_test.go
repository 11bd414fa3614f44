package schemas

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const softAboveHard = "must not be above time_limit_ms; lower one or leave it out"

func unmarshalStrict(value []byte, v any) error { return jsonv2.Unmarshal(value, v) }

// raw is JSON as text; the schema and the decoder get the same bytes.
func rawOf(values ...string) *rapid.Generator[string] { return rapid.SampledFrom(values) }

func anyRaw() *rapid.Generator[string] {
	return rawOf(`null`, `true`, `0`, `1.0`, `-3`, `""`, `"x"`, `[]`, `{}`, `["a"]`, `{"a":"b"}`, `{"a":1}`, `1e3`)
}

// number is near the bounds, in all of JSON's spellings.
func numberRaw(bounds ...string) *rapid.Generator[string] {
	spelled := rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom(append(bounds, "0", "1", "-1", "5", "10", "11")).Draw(t, "n")
		return n + rapid.SampledFrom([]string{"", ".0", ".000", "e0", "E+0", ".5", "e-1", "e1", ".0e1",
			".00000000000000000001"}).Draw(t, "spelling")
	})
	return rapid.OneOf(spelled, spelled, spelled, rawOf("10e-1", "50e-1", "100e-1", "110e-1", "-10e-1"), anyRaw())
}

func textRaw(lengths ...int) *rapid.Generator[string] {
	text := rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom(append(lengths, 0, 1, 2, 199, 200, 201)).Draw(t, "length")
		unit := rapid.SampledFrom([]string{"a", "Z", "é", "日", "😀", " ", "/", ".", "@", `\n`, `\u00e9`, `\ud83d\ude00`,
			`\u0041`}).Draw(t, "unit")
		return `"` + strings.Repeat(unit, n) + `"`
	})
	return rapid.OneOf(text, text, rapid.Just(`"good"`), rapid.Just(`"good"`), anyRaw())
}

func timeRaw() *rapid.Generator[string] {
	part := func(t *rapid.T, values ...string) string { return rapid.SampledFrom(values).Draw(t, "part") }
	text := rapid.Custom(func(t *rapid.T) string {
		s := part(t, "2026", "2024", "1900", "0000", "0001", "0002", "9999", "10000", "26") + "-" +
			part(t, "01", "02", "12", "06", "13", "00", "1") + "-" + part(t, "01", "28", "29", "30", "31", "32", "00") +
			part(t, "T", "T", "T", "T", "t", " ") + part(t, "00", "09", "23", "24", "9") + ":" + part(t, "00", "59",
			"60") + ":" +
			part(t, "00", "59", "60", "61") + part(t, "", "", ".5", ".123456789", ".1234567891", ",5", ".") +
			part(t, "Z", "Z", "Z", "+00:00", "-00:00", "+23:59", "-23:59", "+24:00", "+01:60", "+0100", "z", "", `\u005a`)
		return `"` + s + `"`
	})
	return rapid.OneOf(text, text, rapid.Just(`"2026-01-31T09:30:00Z"`), anyRaw())
}

func urlRaw() *rapid.Generator[string] {
	text := rapid.Custom(func(t *rapid.T) string {
		part := func(values ...string) string { return rapid.SampledFrom(values).Draw(t, "part") }
		return `"` + part("http", "https", "HTTPS", "ftp", "") + part("://", "://", ":", "//") + part("", "u:p@", "u%20@",
			"a@b@") +
			part("example.org", "localhost", "127.0.0.1", "[::1]", "[::", "[1.2.3.4]", "[fe80::1%25eth0]", "[1:2:3]", "", "a..b",
				".", "exa mple", "bücher.de", "a_b", "%41") +
			part("", "", ":80", ":", ":x", ":0", ":0080", ":65535", ":65536", ":99999") + part("", "/", "/a%20b", "/a%2", "/%zz",
			"?q=1&r=%41", "?q=%", "#f", "#%", "/a b", `/a\\b`, `/\"`, "/é", "/"+strings.Repeat("x", 2000)) + `"`
	})
	return rapid.OneOf(text, text, anyRaw())
}

// members are what each member of a task is drawn from.
func memberGenerators() map[string]*rapid.Generator[string] {
	retry := rapid.Custom(func(t *rapid.T) string {
		return objectRaw(t, map[string]*rapid.Generator[string]{
			"max_attempts": numberRaw("100", "101"), "backoff_ms": numberRaw("31622400000", "31622400001"),
			"max_backoff_ms": numberRaw("31622400000", "31622400001"),
			"multiplier": rapid.OneOf(rawOf("1", "1.0", "0.99", "1.5", "100", "100.5", "1e2", "1e3", "-1", "1e-400"),
				anyRaw()), "jitter": anyRaw(),
		}, nil)
	})
	unique := rapid.Custom(func(t *rapid.T) string {
		return objectRaw(t, map[string]*rapid.Generator[string]{
			"ttl_ms": numberRaw("31622400000", "31622400001"), "key": textRaw(), "by": anyRaw(),
		}, nil)
	})
	ids := rapid.Custom(func(t *rapid.T) string {
		items := rapid.SliceOfN(textRaw(), 0, 3).Draw(t, "items")
		return "[" + strings.Join(items, ",") + "]"
	})
	many := rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom([]int{63, 64, 65, 999, 1000, 1001}).Draw(t, "n")
		return "[" + strings.TrimSuffix(strings.Repeat(`"t",`, n), ",") + "]"
	})
	labels := rapid.Custom(func(t *rapid.T) string {
		names := rapid.SliceOfNDistinct(textRaw().Filter(isTextRaw), 0, 3, decoded).Draw(t, "names")
		parts := []string{}
		for _, name := range names {
			parts = append(parts, name+":"+textRaw().Draw(t, "value"))
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
	limits := numberRaw("604800000", "604800001", "1000")
	return map[string]*rapid.Generator[string]{
		"step": numberRaw("2147483647", "2147483648", "-2147483648", "-2147483649"), "priority": numberRaw(),
		"soft_time_limit_ms": limits, "time_limit_ms": limits,
		"input_data": anyRaw(), "context": anyRaw(), "on_success": anyRaw(), "on_failure": anyRaw(),
		"version": textRaw(), "batch_id": textRaw(), "retry_of": textRaw(),
		"not_before": timeRaw(), "expires_at": timeRaw(), "created_at": timeRaw(),
		"callback_url": urlRaw(), "on_dependency_failure": rawOf(`"cancel"`, `"run"`, `""`, `null`, `"Run"`, `0`),
		"retry": rapid.OneOf(retry, retry, anyRaw()), "unique": rapid.OneOf(unique, unique, anyRaw()),
		"depends_on": rapid.OneOf(ids, ids, many, anyRaw()),
		"labels":     rapid.OneOf(labels, labels, anyRaw()), "colour": anyRaw(),
	}
}

func isTextRaw(s string) bool { return strings.HasPrefix(s, `"`) }

func decoded(quoted string) string {
	var s string
	if json.Unmarshal([]byte(quoted), &s) != nil {
		return quoted
	}
	return s
}

// objectRaw has the required members, mostly good, and a few of the others.
func objectRaw(t *rapid.T, optional map[string]*rapid.Generator[string], required []string) string {
	var parts []string
	for _, name := range required {
		switch rapid.IntRange(0, 15).Draw(t, name) {
		case 0:
		case 1:
			parts = append(parts, `"`+name+`":`+textRaw().Draw(t, name))
		default:
			parts = append(parts, `"`+name+`":"good"`)
		}
	}
	names := make([]string, 0, len(optional))
	for name := range optional {
		names = append(names, name)
	}
	// The order of a map is not the test's to choose: sort it.
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(sorted(names)), 0, 3, rapid.ID[string]).Draw(t, "members")
	for _, name := range chosen {
		parts = append(parts, `"`+name+`":`+optional[name].Draw(t, name))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestDecodeTaskAcceptsWhatTheSchemaAccepts(t *testing.T) {
	schema := compile(t, TaskSchema())
	members := memberGenerators()
	var accepted, refused int
	rapid.Check(t, func(t *rapid.T) {
		value := objectRaw(t, members, []string{"task_id", "user_id", "task_name", "mode", "service"})
		task, err := DecodeTask([]byte(value))
		if invalid := (*InvalidTaskError)(nil); errors.As(err, &invalid) && invalid.Problem == softAboveHard {
			return
		}
		schemaErr := schema.Validate(mustParse(t, value))
		if (err == nil) != (schemaErr == nil) {
			t.Fatalf("%s\nDecodeTask: %v\nschema: %v", value, err, schemaErr)
		}
		if err != nil {
			refused++
			return
		}
		accepted++
		checkRoundTrip(t, task)
	})
	if accepted < 10 || refused < 10 {
		t.Errorf("%d accepted, %d refused: the generator is lopsided", accepted, refused)
	}
}

func checkRoundTrip(t *rapid.T, task *Task) {
	encoded, err := task.Encode()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	again, err := DecodeTask(encoded)
	if err != nil {
		t.Fatalf("decode what was encoded, %s: %v", encoded, err)
	}
	reencoded, err := again.Encode()
	if err != nil || string(reencoded) != string(encoded) {
		t.Fatalf("encoded %s, then %s (%v)", encoded, reencoded, err)
	}
}

func mustParse(t *rapid.T, value string) any {
	dec := json.NewDecoder(strings.NewReader(value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("parse %s: %v", value, err)
	}
	return v
}

// TestEncodeEventIsWhatTheTagsSay holds the hand-written encoder to the one by
// reflection.
func TestEncodeEventIsWhatTheTagsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := drawEvent(t)
		got, gotErr := event.Encode()
		want, wantErr := event.encodeReflected()
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("errors differ: %v, by reflection %v", gotErr, wantErr)
		}
		if string(got) != string(want) {
			t.Fatal(cmp.Diff(string(want), string(got)))
		}
		if gotErr == nil && !utf8.Valid(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
	})
}

// TestEncodeCopiesACheckedResult: what was formatted before is written as it would
// be by formatting it again.
func TestEncodeCopiesACheckedResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := drawEvent(t)
		want, err := event.Encode()
		if err != nil || event.Result == nil {
			return
		}
		event.Result, err = jsontext.AppendFormat(nil, event.Result, jsontext.AllowInvalidUTF8(true))
		event.ResultChecked = true
		got, again := event.Encode()
		if err != nil || again != nil || string(got) != string(want) {
			t.Fatalf("%v, %v\n%s", err, again, cmp.Diff(string(want), string(got)))
		}
	})
}

func drawEvent(t *rapid.T) *Event {
	text := rapid.OneOf(rapid.String(),
		rapid.SampledFrom([]string{"", "a", "\xff", "a\x00\"\\\u2028<&>\x7f", "\xed\xa0\x80"}))
	number := rapid.OneOf(rapid.Float64(),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e21, 1e-7, 50, math.NaN(), math.Inf(1)}))
	s := func() string { return text.Draw(t, "text") }
	n := func() int64 { return rapid.Int64().Draw(t, "n") }
	f := func() float64 { return number.Draw(t, "f") }
	instant := rapid.OneOf(rapid.Int64Range(-62e12, 250e12), rapid.Just(Time{}.UnixMilli()))
	at := func() Time { return AtTime(unixMilli(instant.Draw(t, "ms"))) }
	some := func() bool { return rapid.Bool().Draw(t, "some") }
	e := &Event{
		EventID: s(), TaskID: s(), UserID: s(), Attempt: int(n()), Kind: Kind(s()), Status: Status(s()), Step: int(n()),
		Task: s(), Message: s(), Time: at(), Lane: s(), Mode: s(), Service: s(), Worker: s(), BatchID: s(), Error: s(),
		ErrorCode: ErrorCode(s()),
	}
	results := []string{"-", `null`, ` {"a" : [1, 2.50, "\u0041\/"]} `, `"x"`, ``, `{`, `{"a":1,"a":2}`, "\"\xff\"",
		`"\ud800"`, `[1]`}
	if r := rapid.SampledFrom(results).Draw(t, "result"); r != "-" {
		e.Result = jsontext.Value(r)
	}
	if some() {
		e.ResultArtifact = &Artifact{Hash: s(), Name: s(), Type: s(), Size: n()}
	}
	if some() {
		e.Waiting = &Waiting{For: s(), Reason: s(), By: s(), Name: s()}
		until := at()
		e.Waiting.Until, e.NextAttemptAt = &until, &until
	}
	if some() {
		e.Progress = &Progress{Percent: f(), Current: n(), Total: n(), Unit: s()}
		e.Output, e.Log = &Output{Index: n(), Text: s()}, &LogLine{Level: s(), Text: s()}
	}
	if r := rapid.SampledFrom(results).Draw(t, "data"); r != "-" && e.Output != nil {
		e.Output.Data = jsontext.Value(r)
	}
	if some() {
		e.Usage = &Usage{Model: s(), Provider: s(), InputTokens: n(), CachedTokens: n(), CacheWriteTokens: n(),
			OutputTokens: n(), ReasoningTokens: n(), Estimated: some(), CacheWrite1hTokens: n(), Tier: s()}
		if some() {
			e.Usage.CostPicodollars = new(n())
		}
		e.Metrics = &Metrics{QueuedMS: f(), RunMS: f()}
	}
	if some() && e.Metrics != nil {
		e.Metrics.Own = map[string]float64{}
		for range rapid.IntRange(0, 3).Draw(t, "own") {
			e.Metrics.Own[rapid.OneOf(text.Filter(utf8.ValidString),
				rapid.SampledFrom([]string{"queued_ms", "run_ms", "pages"})).Draw(t, "metric")] = f()
		}
	}
	if r := rapid.SampledFrom(results).Draw(t, "step result"); some() {
		e.Checkpoint = &Checkpoint{Name: s()}
		if r != "-" {
			e.Checkpoint.Result = jsontext.Value(r)
		}
	}
	if some() {
		e.Upstream = &Upstream{Name: s(), Status: int(n()), Code: s(), Kind: s(), Message: s()}
	}
	if some() {
		e.Files = []File{}
		for range rapid.IntRange(0, 2).Draw(t, "files") {
			e.Files = append(e.Files, File{Path: s(), Operation: s(), Bytes: n()})
		}
		e.Source = &Source{Topic: s(), Partition: int32(n()), Offset: n(), Wait: s(), WaitOffset: n(), Claim: s()}
		e.Deferred = n()%2 == 0
	}
	return e
}
