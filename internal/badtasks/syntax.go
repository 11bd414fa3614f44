package badtasks

import "unicode/utf16"

// notJSON are values that no JSON reader takes.
func notJSON() []Case {
	cases := []Case{
		lost("empty", "", ""),
		lost("white-space", "", " \t\r\n"),
		lost("plain-text", "", "hello, please run my task"),
		lost("binary", "", "\x01\x02\x03\xfe\xff\x00\x10"),
		lost("zero-bytes", "", "\x00\x00\x00\x00"),
		lost("gzip", "", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
		lost("zstd", "", "\x28\xb5\x2f\xfd\x04\x00"),
		lost("python-pickle", "", "\x80\x04\x95\x1c\x00\x00\x00"),
		lost("java-object", "", "\xac\xed\x00\x05sr\x00\x04Task"),
		lost("schema-registry", "", "\x00\x00\x00\x00\x07"+string(task("schema-registry", ""))),
		lost("byte-order-mark", "", "\xef\xbb\xbf"+string(task("byte-order-mark", ""))),
		lost("xml", "", "<task><id>1</id></task>"),
		lost("yaml", "", "task_id: a\nuser_id: b\n"),
		lost("form", "", "task_id=a&user_id=b"),
		lost("utf16", "", utf16Text(string(task("utf16", "")))),
		lost("single-quotes", "", "{'task_id': 'bad-single-quotes', 'user_id': 'badtasks'}"),
		lost("bare-names", "", `{task_id: "bad-bare-names", user_id: "badtasks"}`),
		lost("comment-first", "", "// a task\n"+string(task("comment-first", ""))),
		lost("only-open-brace", "", "{"),
		lost("cut-in-id", "", `{"task_id":"bad-cut-in`),
	}
	for _, c := range []struct{ name, field, members string }{
		{"nan", "input_data.x", `"input_data":{"x":NaN}`},
		{"infinity", "input_data.x", `"input_data":{"x":-Infinity}`},
		{"undefined", "context", `"context":undefined`},
		{"python-none", "context", `"context":None`},
		{"python-true", "input_data.x", `"input_data":{"x":True}`},
		{"plus-number", "step", `"step":+1`},
		{"leading-zero", "", `"step":01`},
		{"bare-point", "step", `"step":.5`},
		{"open-exponent", "step", `"step":1e`},
		{"hex-number", "", `"step":0x10`},
		{"missing-comma", "", `"step":1 "priority":2`},
		{"trailing-comma-nested", "input_data.x.1", `"input_data":{"x":[1,]}`},
		{"control-character", "input_data.x", "\"input_data\":{\"x\":\"a\x01b\"}"},
		{"raw-newline", "input_data.x", "\"input_data\":{\"x\":\"a\nb\"}"},
		{"bad-escape", "input_data.x", `"input_data":{"x":"\x41"}`},
		{"short-unicode-escape", "input_data.x", `"input_data":{"x":"\u12"}`},
		{"bad-literal", "input_data.x", `"input_data":{"x":tru}`},
		{"mismatched-brackets", "input_data.x", `"input_data":{"x":[1}`},
		{"bad-utf8", "input_data.x", "\"input_data\":{\"x\":\"\xff\xfe\"}"},
		{"overlong-utf8", "input_data.x", "\"input_data\":{\"x\":\"\xc0\xaf\"}"},
		{"cut-utf8", "input_data.x", "\"input_data\":{\"x\":\"\xe2\x82\"}"},
		{"raw-surrogate", "input_data.x", "\"input_data\":{\"x\":\"\xed\xa0\x80\"}"},
		{"latin-1", "version", "\"input_data\":{},\"version\":\"caf\xe9\""},
		{"lone-high-surrogate", "input_data.x", `"input_data":{"x":"\ud800"}`},
		{"lone-low-surrogate", "input_data.x", `"input_data":{"x":"\udc00"}`},
	} {
		cases = append(cases, broken(c.name, c.field, c.members))
	}
	return append(cases, tails()...)
}

// tails are good tasks with something wrong at the end.
func tails() []Case {
	whole := func(name string) string { return string(task(name, "")) }
	open := func(name string) string { s := whole(name); return s[:len(s)-1] }
	after := func(name, value string) Case {
		return Case{Name: name, Value: []byte(value), Identified: true}
	}
	return []Case{
		after("cut-brace", open("cut-brace")),
		after("cut-in-value", open("cut-in-value")+`,"input_data":{"text":"this was cu`),
		after("cut-after-name", open("cut-after-name")+`,"input_data":`),
		after("trailing-comma", open("trailing-comma")+",}"),
		after("two-objects", whole("two-objects")+whole("two-objects")),
		after("json-lines", whole("json-lines")+"\n"+whole("json-lines")+"\n"),
		after("trailing-text", whole("trailing-text")+" thanks"),
		after("trailing-zero-byte", whole("trailing-zero-byte")+"\x00"),
		after("extra-brace", whole("extra-brace")+"}"),
		after("comment-inside", open("comment-inside")+" /* why not */ }"),
	}
}

// notObjects are JSON, but nothing with members.
func notObjects() []Case {
	return []Case{
		lost("null", "", "null"),
		lost("true", "", "true"),
		lost("number", "", "42"),
		lost("string", "", `"analyze_text"`),
		lost("encoded-twice", "", `"{\"task_id\":\"a\",\"user_id\":\"b\"}"`),
		lost("empty-array", "", "[]"),
		lost("array-of-tasks", "", "["+string(task("array-of-tasks", ""))+"]"),
		lost("celery-message", "", `[[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]`),
		lost("empty-object", "task_id", "{}"),
	}
}

// ambiguous are tasks that different readers would read differently.
func ambiguous() []Case {
	same := broken("task-id-twice-same", "task_id", `"task_id":"bad-task-id-twice-same"`)
	task := lost("task-id-twice", "task_id", string(task("task-id-twice", `"task_id":"another"`)))
	user := lost("user-id-twice", "user_id",
		`{"user_id":"badtasks","task_id":"bad-user-id-twice",`+names+`,"user_id":"mallory"}`)
	escaped := lost("task-id-twice-escaped", "task_id",
		`{`+ids("task-id-twice-escaped")+`,`+names+`,"task\u005fid":"another"}`)
	return []Case{
		same, task, user, escaped,
		broken("priority-twice", "priority", `"priority":1,"priority":2`),
		broken("input-member-twice", "input_data.x", `"input_data":{"x":1,"x":2}`),
		broken("unknown-member-twice", "colour", `"colour":1,"colour":2`),
		broken("label-twice", "labels.a", `"labels":{"a":"1","a":"2"}`),
	}
}

func utf16Text(s string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}
