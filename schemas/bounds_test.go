package schemas

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// TestEveryBoundOfATask: what is just within passes, what is just beyond is refused by its
// member's name, in characters and not in bytes.
func TestEveryBoundOfATask(t *testing.T) {
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	labels := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(`"l%d":"v"`, i))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	text := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	id := func(n int) string { return `"` + strings.Repeat("a", n) + `"` }
	for field, test := range map[string]struct{ within, beyond []string }{
		"task_id": {[]string{id(1), id(200), `"A-z0.9_:@~-"`},
			[]string{id(0), id(201), `"a/b"`, `"é"`, "null", "7"}},
		"user_id":   {[]string{text(1), text(200)}, []string{text(0), text(201), `"a\u0000"`, "null", "{}"}},
		"task_name": {[]string{text(200)}, []string{text(201), text(0)}},
		"mode":      {[]string{text(200)}, []string{text(201), "[]"}},
		"service":   {[]string{text(200)}, []string{text(201), "true"}},
		"version":   {[]string{text(200), `""`, "null"}, []string{text(201), "1"}},
		"batch_id":  {[]string{text(200), "null"}, []string{text(201), `"\u202e"`}},
		"retry_of":  {[]string{id(200), `""`}, []string{id(201), `"a b"`}},
		"step": {[]string{"2147483647", "-2147483648", "1.0", "1e2"},
			[]string{"2147483648", "-2147483649", "0.5"}},
		"priority":              {[]string{"0", "10", "100e-1"}, []string{"-1", "11", "10.5", `"5"`}},
		"soft_time_limit_ms":    {[]string{"1", "604800000"}, []string{"0", "604800001", "-1"}},
		"time_limit_ms":         {[]string{"1", "604800000"}, []string{"0", "604800001", "1e300"}},
		"labels":                {[]string{labels(64), "{}", "null"}, []string{labels(65), `{"":"v"}`, "[]"}},
		"depends_on":            {[]string{list(1000, `"t"`), "[]", "null"}, []string{list(1001, `"t"`), `["a b"]`, "{}"}},
		"on_dependency_failure": {[]string{`"cancel"`, `"run"`, `""`}, []string{`"Run"`, `"none"`}},
		"input_data":            {[]string{"{}", "null", `{"a":[]}`}, []string{"[]", `"x"`, "1"}},
		"context":               {[]string{"{}", "null"}, []string{"[]", "true"}},
		"callback_url": {
			[]string{`"https://example.org/a?b=c#d"`, `"http://[::1]:65535/"`, `""`, "null"},
			[]string{`"ftp://example.org"`, `"https://u:p@example.org"`, `"https://example.org:0"`, `"https://exämple.org"`,
				`"/hook"`},
		},
		"not_before": {
			[]string{`"2026-01-31T09:30:00Z"`, `"2026-01-31T09:30:00.123456789+23:59"`, "null"},
			[]string{`"2026-01-31"`, `"2026-02-30T00:00:00Z"`, "1767222000", `""`},
		},
		"retry.max_attempts": {[]string{`{"max_attempts":1}`, `{"max_attempts":100}`},
			[]string{`{"max_attempts":0}`, `{"max_attempts":101}`}},
		"retry.backoff_ms": {[]string{`{"backoff_ms":0}`, `{"backoff_ms":31622400000}`},
			[]string{`{"backoff_ms":-1}`, `{"backoff_ms":31622400001}`}},
		"retry.max_backoff_ms": {[]string{`{"max_backoff_ms":0}`}, []string{`{"max_backoff_ms":31622400001}`}},
		"retry.multiplier": {[]string{`{"multiplier":1}`, `{"multiplier":100}`},
			[]string{`{"multiplier":0.99}`, `{"multiplier":100.1}`}},
		"unique.ttl_ms": {[]string{`{"ttl_ms":1}`, `{"ttl_ms":31622400000}`},
			[]string{`{"ttl_ms":0}`, `{"ttl_ms":31622400001}`, `{}`}},
		"unique.key": {[]string{`{"ttl_ms":1,"key":` + text(200) + `}`},
			[]string{`{"ttl_ms":1,"key":` + text(201) + `}`}},
	} {
		member, _, _ := strings.Cut(field, ".")
		value := func(v string) []byte {
			members := map[string]string{"task_id": `"t"`, "user_id": `"u"`, "task_name": `"n"`, "mode": `"m"`, "service": `"s"`}
			members[member] = v
			var parts []string
			for _, name := range sorted(keys(members)) {
				parts = append(parts, `"`+name+`":`+members[name])
			}
			return []byte("{" + strings.Join(parts, ",") + "}")
		}
		for _, v := range test.within {
			if _, err := DecodeTask(value(v)); err != nil {
				t.Errorf("%s %.60s: %v", field, v, err)
			}
		}
		for _, v := range test.beyond {
			_, err := DecodeTask(value(v))
			var invalid *InvalidTaskError
			if !errors.As(err, &invalid) || invalid.Field != field && !strings.HasPrefix(invalid.Field, field+".") {
				t.Errorf("%s %.60s: %v", field, v, err)
			}
		}
	}
}

func keys(m map[string]string) (names []string) {
	for name := range maps.Keys(m) {
		names = append(names, name)
	}
	return names
}

// TestPrintableIsShown: what is shown of a name has as many characters, none that cannot be
// seen, and is the name itself if it had none.
func TestPrintableIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(),
			rapid.StringOf(rapid.RuneFrom([]rune("aé世\u0000\u001b\u0085\u2028\u202e\ufeff\u200d")))).Draw(t, "name")
		shown := printable(name)
		if CheckPrintable(shown) != "" && !strings.ContainsRune(shown, '\ufffd') {
			t.Fatalf("%q is shown as %q", name, shown)
		}
		if CheckPrintable(name) == "" && shown != name {
			t.Fatalf("%q, which can be seen, is shown as %q", name, shown)
		}
		if len([]rune(shown)) != len([]rune(name)) {
			t.Fatalf("%q has %d characters, and %q %d", name, len([]rune(name)), shown, len([]rune(shown)))
		}
	})
}

// TestCutKeepsWholeCharacters, and says that it has cut.
func TestCutKeepsWholeCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, most := rapid.String().Draw(t, "text"), rapid.IntRange(1, 20).Draw(t, "most")
		short := cut(text, most)
		whole := len([]rune(text)) <= most
		if whole && short != text || !whole && short != string([]rune(text)[:most])+"..." {
			t.Fatalf("%q, cut to %d, is %q", text, most, short)
		}
	})
}

// TestEventsThatCannotBeWritten say why, and leave what was written before as it was.
func TestEventsThatCannotBeWritten(t *testing.T) {
	for name, e := range map[string]*Event{
		"no number":          {Metrics: &Metrics{QueuedMS: math.NaN()}},
		"beyond any":         {Progress: &Progress{Percent: math.Inf(1)}},
		"a number's name":    {Metrics: &Metrics{Own: map[string]float64{"run_ms": 1}}},
		"no text for a name": {Metrics: &Metrics{Own: map[string]float64{"\xff": 1}}},
		"a broken result":    {Result: jsontext.Value("{")},
		"a broken step":      {Checkpoint: &Checkpoint{Result: jsontext.Value(`{"a":}`)}},
		"the year 10000":     {Time: Time{unixMilli(253_402_300_800_000)}},
		"unknown and broken": {Unknown: jsontext.Value("[")},
	} {
		e.EventID = "fast/3-1-2"
		if e.Time.IsZero() {
			e.Time = AtTime(unixMilli(1))
		}
		before := []byte("before")
		out, err := e.AppendTo(before)
		if err == nil || !strings.Contains(err.Error(), "fast/3-1-2") || !strings.HasPrefix(string(out), "before") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// TestControlsHold: a pause, and a limit of none; nothing else.
func TestControlsHold(t *testing.T) {
	none, some := int64(0), int64(1)
	for _, test := range []struct {
		control Control
		holds   bool
	}{
		{Control{Kind: ControlPause}, true}, {Control{Kind: ControlResume}, false}, {Control{Kind: ControlCancel}, false},
		{Control{Kind: ControlKillSwitch}, false}, {Control{Kind: ControlLimits}, false},
		{Control{Kind: ControlLimits, Limits: &Limits{}}, false}, {Control{Kind: ControlLimits,
			Limits: &Limits{MaxRunning: &none}}, true},
		{Control{Kind: ControlLimits, Limits: &Limits{MaxRunning: &some}}, false}, {Control{Kind: ControlPause,
			Limits: &Limits{MaxRunning: &some}}, true},
	} {
		if got := test.control.Holds(); got != test.holds {
			t.Errorf("%+v holds: %t", test.control, got)
		}
	}
}
