package badtasks

import (
	"fmt"
	"strings"
)

func badTexts() []Case {
	cases := []Case{
		broken("version-long", "version", fmt.Sprintf(`"version":%q`, strings.Repeat("v", 201))),
		broken("batch-id-long", "batch_id", fmt.Sprintf(`"batch_id":%q`, strings.Repeat("b", 201))),
		broken("version-newline", "version", `"version":"1\n2"`),
		broken("batch-id-zero", "batch_id", `"batch_id":"b\u0000"`),
		broken("batch-id-isolate", "batch_id", `"batch_id":"\u2067b"`),
		broken("labels-name-delete", "labels", `"labels":{"a\u007f":"v"}`),
		broken("labels-name-separator", "labels", `"labels":{"a\u2029":"v"}`),
		broken("retry-of-slash", "retry_of", `"retry_of":"a/b"`),
		broken("on-dependency-failure-unknown", "on_dependency_failure", `"on_dependency_failure":"ignore"`),
	}
	for _, u := range []struct{ name, url string }{
		{"relative", "/hook"}, {"no-host", "https:///hook"}, {"scheme", "ftp://example.org/"},
		{"script", "javascript:alert(1)"},
		{"space", "https://example.org/a b"}, {"unicode", "https://bücher.example/"}, {"port", "https://example.org:http/"},
		{"port-0", "https://example.org:0/"}, {"port-65536", "https://example.org:65536/"},
		{"port-99999", "https://[::1]:99999"},
		{"percent", "https://example.org/%zz"}, {"bracket", "https://[::1/"}, {"not-ipv6", "https://[1.2.3.4]/"},
		{"user", "https://user:secret@example.org/"},
		{"long", "https://example.org/" + strings.Repeat("x", 2000)},
	} {
		cases = append(cases, broken("callback-"+u.name, "callback_url", fmt.Sprintf(`"callback_url":"%s"`, u.url)))
	}
	for _, member := range []string{"task_name", "mode", "service"} {
		for _, v := range []struct{ name, text string }{
			{"empty", `""`}, {"long", `"` + strings.Repeat("n", 201) + `"`}, {"null", "null"},
			{"zero", `"a\u0000"`}, {"escape", `"\u001b]0;x\u0007"`}, {"c1", `"a\u009b"`}, {"right-to-left", `"a\u202eb"`},
		} {
			name := slug(member) + "-" + v.name
			others := strings.Replace(names, fmt.Sprintf("%q:", member), fmt.Sprintf("%q:%s,\"was\":", member, v.text), 1)
			cases = append(cases, Case{Name: name, Value: []byte("{" + ids(name) + "," + others + "}"), Identified: true,
				Field: member})
		}
	}
	return cases
}

func badTimes() []Case {
	var cases []Case
	for _, t := range []struct{ name, text string }{
		{"no-zone", "2026-01-31T09:30:00"}, {"date-only", "2026-01-31"}, {"space", "2026-01-31 09:30:00Z"},
		{"february-30", "2026-02-30T00:00:00Z"}, {"hour-24", "2026-01-31T24:00:00Z"}, {"leap-second", "2016-12-31T23:59:60Z"},
		{"year-10000", "10000-01-01T00:00:00Z"}, {"year-0", "0000-06-01T00:00:00Z"},
		{"past-the-end", "9999-12-31T23:59:59-01:00"},
		{"before-the-start", "0001-01-01T00:00:00+01:00"}, {"comma", "2026-01-31T09:30:00,5Z"},
		{"short-hour", "2026-01-31T9:30:00Z"},
		{"zone-name", "2026-01-31T09:30:00 CET"}, {"zone-without-colon", "2026-01-31T09:30:00+0100"},
		{"zone-24", "2026-01-31T09:30:00+24:00"},
		{"unix", "1767222000"}, {"empty", ""}, {"lower-case", "2026-01-31t09:30:00z"},
	} {
		cases = append(cases, broken("not-before-"+t.name, "not_before", fmt.Sprintf(`"not_before":%q`, t.text)))
	}
	return cases
}

func badNested() []Case {
	many := func(n int, format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(parts, ",")
	}
	return []Case{
		broken("labels-null-value", "labels.a", `"labels":{"a":null}`),
		broken("labels-empty-name", "labels", `"labels":{"":"x"}`),
		broken("labels-long-name", "labels", fmt.Sprintf(`"labels":{%q:"x"}`, strings.Repeat("n", 201))),
		broken("labels-long-value", "labels", fmt.Sprintf(`"labels":{"a":%q}`, strings.Repeat("v", 201))),
		broken("labels-too-many", "labels", `"labels":{`+many(65, `"l%d":"x"`)+`}`),
		broken("labels-strange-name", `labels."a\nb"`, `"labels":{"a\nb":1}`),
		broken("depends-on-slash", "depends_on", `"depends_on":["a/b"]`),
		broken("depends-on-empty", "depends_on", `"depends_on":[""]`),
		broken("depends-on-null", "depends_on.1", `"depends_on":["a",null]`),
		broken("depends-on-too-many", "depends_on", `"depends_on":[`+many(1001, `"t%d"`)+`]`),
	}
}

// fine are tasks that look odd and are right.
func fine() []Case {
	unicodeUser := fmt.Sprintf(`{"task_id":%q,"user_id":"%s",%s}`, TaskID("user-200-multibyte"), strings.Repeat("é", 200),
		names)
	reversed := fmt.Sprintf(`{"service":"echo","mode":"debug","task_name":"echo","user_id":%q,"task_id":%q}`, UserID,
		TaskID("reversed"))
	run := func(name, value string) Case {
		return Case{Name: name, Value: []byte(value), Valid: true, Identified: true}
	}
	return []Case{
		good("minimal", ""),
		good("priority-1-point-0", `"priority":1.0`),
		good("priority-exponent", `"priority":50e-1`),
		good("priority-minus-zero", `"priority":-0`),
		good("all-null", `"step":null,"input_data":null,"context":null,"priority":null,"version":null,"not_before":null,`+
			`"retry":null,"labels":null,"depends_on":null,"callback_url":null`),
		good("retry-nulls", `"retry":{"max_attempts":null,"multiplier":null,"jitter":true}`),
		good("unknown-members", `"colour":"red","nested":{"a":[1,2,{"b":null}]}`),
		good("escaped-names", `"prio\u0072ity":3`),
		good("deep", `"input_data":{"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`}`),
		run("user-200-multibyte", unicodeUser),
		run("reversed", reversed),
		run("much-space", " \r\n\t"+strings.ReplaceAll(string(task("much-space", "")), ",", " ,\n\t")+" \n"),
	}
}

// large are the cases that are too big for a file.
func large() []Case {
	const mebibyte = 1 << 20
	name := func(s string) string { return `{` + ids(s) + "," }
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
	named := func(s, others string) Case {
		return Case{Name: s, Value: []byte(name(s) + others + "}"), Identified: true}
	}
	longName := named("task-name-mebibyte",
		`"mode":"debug","service":"echo","task_name":"`+strings.Repeat("n", mebibyte-300)+`"`)
	longName.Field = "task_name"
	longMember := broken("member-name-mebibyte", "labels", "")
	longMember.Value = task("member-name-mebibyte", `"labels":{"`+strings.Repeat("m", mebibyte-300)+`":"x"}`)
	idLast := Case{Name: "deep-before-ids", Identified: true, Field: "input_data"}
	idLast.Value = []byte(`{"input_data":{"x":` + deep("[", "]", 20000) +
		`},` + names + "," + ids("deep-before-ids") + `}`)
	return []Case{
		longName, longMember, idLast,
		broken("deep-arrays", "input_data", `"input_data":{"x":`+deep("[", "]", 20000)+`}`),
		broken("deep-objects", "input_data", `"input_data":`+deep(`{"a":`, "}", 20000)),
		broken("deep-open", "input_data", `"input_data":`+strings.Repeat(`{"a":[`, 100000)),
		broken("above-a-mebibyte", "", `"input_data":{"text":"`+strings.Repeat("x", mebibyte)+`"}`),
		broken("long-number", "priority", `"priority":`+strings.Repeat("9", 500000)),
		broken("many-duplicates", "unknown", `"unknown":1`+strings.Repeat(`,"unknown":1`, 50000)),
		lost("brackets", "", strings.Repeat("[", mebibyte-1)),
		lost("quotes", "", strings.Repeat(`"`, mebibyte-1)),
		lost("braces-and-quotes", "{", strings.Repeat(`{"`, mebibyte/2-1)),
		lost("noise", "", noise(mebibyte-1)),
		good("nearly-a-mebibyte", `"input_data":{"text":"`+strings.Repeat("x", mebibyte-10000)+`"}`),
		good("deep-enough", `"input_data":`+deep(`{"a":`, "}", 9000)),
	}
}

// noise is bytes without any pattern a reader could use, the same every time.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x>>8) | 0x80
	}
	return string(b)
}
