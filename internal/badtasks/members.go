package badtasks

import (
	"fmt"
	"strings"
)

// badIDs are tasks whose task_id or user_id is of no use.
func badIDs() []Case {
	var cases []Case
	for _, id := range []struct{ name, quoted string }{
		{"empty", `""`}, {"space", `"a b"`}, {"slash", `"a/b"`}, {"unicode", `"é"`}, {"newline", `"a\nb"`},
		{"zero", `"a\u0000"`}, {"quote", `"a\"b"`}, {"backslash", `"a\\b"`}, {"percent", `"a%20b"`},
		{"long", `"` + strings.Repeat("x", 201) + `"`},
		{"surrogate", `"\ud800"`}, {"utf8", "\"\xff\""},
		{"number", "42"}, {"null", "null"}, {"object", "{}"}, {"array", `["a"]`}, {"boolean", "true"},
	} {
		value := fmt.Sprintf(`{"task_id":%s,"user_id":%q,%s}`, id.quoted, UserID, names)
		cases = append(cases, lost("task-id-"+id.name, "task_id", value))
	}
	for _, id := range []struct{ name, quoted string }{
		{"empty", `""`}, {"long", `"` + strings.Repeat("é", 201) + `"`}, {"utf8", "\"\xff\""}, {"surrogate", `"\udfff"`},
		{"number", "7"}, {"null", "null"}, {"object", `{"id":7}`},
		{"zero", `"a\u0000b"`}, {"newline", `"a\nb"`}, {"escape", `"\u001b[31mred"`}, {"delete", `"a\u007f"`},
		{"next-line", `"a\u0085b"`}, {"c1", "\"a\u009bb\""},
		{"line-separator", `"a\u2028b"`}, {"right-to-left", `"gpj\u202ea"`}, {"isolate", `"\u2066a"`},
		{"byte-order-mark", `"\ufeffa"`},
	} {
		name := "user-id-" + id.name
		value := fmt.Sprintf(`{"task_id":%q,"user_id":%s,%s}`, TaskID(name), id.quoted, names)
		cases = append(cases, lost(name, "user_id", value))
	}
	return cases
}

func missingMembers() []Case {
	var cases []Case
	members := []string{"task_id", "user_id", "task_name", "mode", "service"}
	for _, absent := range members {
		for _, how := range []string{"missing", "camel-case"} {
			name := how + "-" + slug(absent)
			var parts []string
			for _, m := range members {
				value := map[string]string{"task_id": TaskID(name), "user_id": UserID, "task_name": "echo", "mode": "debug",
					"service": "echo"}[m]
				switch {
				case m != absent:
					parts = append(parts, fmt.Sprintf("%q:%q", m, value))
				case how == "camel-case":
					parts = append(parts, fmt.Sprintf("%q:%q", strings.ToUpper(m[:1])+strings.ReplaceAll(m[1:], "_i", "I"), value))
				}
			}
			value := "{" + strings.Join(parts, ",") + "}"
			identified := absent != "task_id" && absent != "user_id"
			cases = append(cases, Case{Name: name, Value: []byte(value), Identified: identified, Field: absent})
		}
	}
	return cases
}

// wrongTypes are every optional member with values of types it cannot have.
func wrongTypes() []Case {
	values := []struct{ name, text string }{
		{"string", `"x"`}, {"number", "3"}, {"boolean", "true"}, {"array", "[1]"}, {"object", `{"a":1}`},
	}
	allowed := map[string]string{
		"step": "number", "priority": "number", "soft_time_limit_ms": "number", "time_limit_ms": "number",
		"version": "string", "not_before": "-", "expires_at": "-", "created_at": "-",
		"input_data": "object", "context": "object", "on_success": "object", "on_failure": "object",
		"retry": "object", "batch_id": "string", "callback_url": "-", "on_dependency_failure": "-", "retry_of": "string",
		"labels": "-", "depends_on": "-",
	}
	var cases []Case
	for _, member := range []string{
		"step", "priority", "soft_time_limit_ms", "time_limit_ms", "version", "not_before", "expires_at", "created_at",
		"input_data", "context", "on_success", "on_failure", "retry", "batch_id", "callback_url",
		"on_dependency_failure", "retry_of", "labels", "depends_on",
	} {
		for _, v := range values {
			if allowed[member] == v.name {
				continue
			}
			field := member
			switch {
			case member == "labels" && v.name == "object":
				field = "labels.a"
			case member == "depends_on" && v.name == "array":
				field = "depends_on.0"
			}
			cases = append(cases, broken(slug(member)+"-"+v.name, field, fmt.Sprintf("%q:%s", member, v.text)))
		}
	}
	for _, member := range []string{"task_name", "mode", "service"} {
		for _, v := range values[1:] {
			name := slug(member) + "-" + v.name
			others := strings.Replace(names, fmt.Sprintf("%q:", member), fmt.Sprintf("%q:%s,\"was\":", member, v.text), 1)
			value := "{" + ids(name) + "," + others + "}"
			cases = append(cases, Case{Name: name, Value: []byte(value), Identified: true, Field: member})
		}
	}
	return cases
}

func badNumbers() []Case {
	var cases []Case
	for _, n := range []struct{ name, field, members string }{
		{"priority-negative", "priority", `"priority":-1`},
		{"priority-eleven", "priority", `"priority":11`},
		{"priority-fraction", "priority", `"priority":5.5`},
		{"priority-quoted", "priority", `"priority":"5"`},
		{"priority-huge", "priority", `"priority":1e400`},
		{"priority-tiny", "priority", `"priority":1e-400`},
		{"priority-endless-exponent", "priority", `"priority":1e99999999999999999999`},
		{"step-beyond-32-bits", "step", `"step":2147483648`},
		{"step-beyond-64-bits", "step", `"step":9223372036854775808`},
		{"time-limit-zero", "time_limit_ms", `"time_limit_ms":0`},
		{"time-limit-negative", "time_limit_ms", `"time_limit_ms":-5`},
		{"time-limit-month", "time_limit_ms", `"time_limit_ms":2678400000`},
		{"soft-limit-zero", "soft_time_limit_ms", `"soft_time_limit_ms":0`},
		{"soft-above-hard", "soft_time_limit_ms", `"soft_time_limit_ms":2000,"time_limit_ms":1000`},
		{"retry-no-attempt", "retry.max_attempts", `"retry":{"max_attempts":0}`},
		{"retry-negative", "retry.max_attempts", `"retry":{"max_attempts":-1}`},
		{"retry-too-many", "retry.max_attempts", `"retry":{"max_attempts":101}`},
		{"retry-attempts-text", "retry.max_attempts", `"retry":{"max_attempts":"3"}`},
		{"retry-backoff-negative", "retry.backoff_ms", `"retry":{"backoff_ms":-1}`},
		{"retry-backoff-fraction", "retry.backoff_ms", `"retry":{"backoff_ms":0.5}`},
		{"retry-max-backoff-huge", "retry.max_backoff_ms", `"retry":{"max_backoff_ms":1e12}`},
		{"retry-multiplier-small", "retry.multiplier", `"retry":{"multiplier":0.5}`},
		{"retry-multiplier-huge", "retry.multiplier", `"retry":{"multiplier":1e999}`},
		{"retry-multiplier-text", "retry.multiplier", `"retry":{"multiplier":"2"}`},
	} {
		cases = append(cases, broken(n.name, n.field, n.members))
	}
	return cases
}
