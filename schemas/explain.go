package schemas

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// missing starts the problem of a required member that is not there.
	missing = "is missing"
	// maxQuoted is how much of a sender's text is quoted back, in characters.
	maxQuoted = 40
	// maxFieldChars bounds a member's path: names are the sender's text too.
	maxFieldChars = 120
)

// explain says what keeps a value from being JSON.
func explain(b []byte) *InvalidTaskError {
	invalid := &InvalidTaskError{Task: identify(b)}
	if len(bytes.TrimSpace(b)) == 0 {
		invalid.Problem = "the record has no value; send one JSON object with task_id, user_id, task_name, mode and service"
		return invalid
	}
	if format := ForeignFormat(b, "send plain JSON and let the Kafka client compress (compression.type)"); format != "" {
		invalid.Problem = "the value " + format
		return invalid
	}
	var value jsontext.Value
	err := json.Unmarshal(b, &value)
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		invalid.Problem = "the value is not JSON: " + shown(fmt.Sprint(err))
		return invalid
	}
	invalid.Field, invalid.Problem = describeSyntax(b, syntactic)
	if invalid.Task == nil && invalid.Field != "" {
		// Not an object: a path such as 0.0.0 says nothing.
		invalid.Problem, invalid.Field = "the value "+invalid.Problem, ""
	}
	return invalid
}

// ForeignFormat says what a value that is no JSON is instead, and what to send: "is UTF-16; encode it as UTF-8". It
// is "" if that cannot be told. compressed is the advice for compressed values, which is another for each way in.
func ForeignFormat(b []byte, compressed string) string {
	const encoded, plainJSON = "encode it as UTF-8", "send JSON"
	for _, format := range [...]struct{ magic, is, advice string }{
		{"\xef\xbb\xbf", "starts with a byte order mark", "send UTF-8 without one"},
		{"\xff\xfe\x00\x00", "is UTF-32", encoded},
		{"\x00\x00\xfe\xff", "is UTF-32", encoded},
		{"{\x00\x00\x00", "is UTF-32", encoded},
		{"\x00\x00\x00{", "is UTF-32", encoded},
		{"\xff\xfe", "is UTF-16", encoded},
		{"\xfe\xff", "is UTF-16", encoded},
		{"{\x00", "is UTF-16", encoded},
		{"\x00{", "is UTF-16", encoded},
		{"\x1f\x8b", "is gzip", compressed},
		{"\x28\xb5\x2f\xfd", "is zstd", compressed},
		{"\x04\x22\x4d\x18", "is LZ4", compressed},
		{"\xff\x06\x00\x00sNaPpY", "is Snappy", compressed},
		{"BZh", "is bzip2", compressed},
		{"\xfd7zXZ\x00", "is xz", compressed},
		{"PK\x03\x04", "is a zip file", compressed},
		{"\x80\x02", "is a Python pickle", plainJSON},
		{"\x80\x03", "is a Python pickle", plainJSON},
		{"\x80\x04", "is a Python pickle", plainJSON},
		{"\x80\x05", "is a Python pickle", plainJSON},
		{"\xac\xed\x00\x05", "is a serialized Java object", plainJSON},
		{"\x00", "starts with a zero byte, as a schema registry's serializer writes it",
			"send plain JSON without that header"},
	} {
		if bytes.HasPrefix(b, []byte(format.magic)) {
			return format.is + "; " + format.advice
		}
	}
	switch {
	case isZlib(b):
		return "is zlib (deflate); " + compressed
	case isDeflated(b):
		return "is raw deflate; " + compressed
	case isBinary(b):
		return "is no text; if it is compressed (Brotli has no mark to know it by), " + compressed
	}
	return ""
}

// isZlib looks at the two bytes that RFC 1950 begins with. JSON begins with no x.
func isZlib(b []byte) bool {
	return len(b) > 2 && b[0] == 'x' && (int(b[0])<<8|int(b[1]))%31 == 0
}

// isDeflated decodes the beginning, which has no mark of its own, and wants to see a JSON object or list.
func isDeflated(b []byte) bool {
	if !isBinary(b) {
		return false
	}
	var start [2]byte
	n, _ := io.ReadFull(flate.NewReader(bytes.NewReader(b)), start[:])
	return n == len(start) && (start[0] == '{' || start[0] == '[') && strings.IndexByte("\"{[]} \t\r\n", start[1]) >= 0
}

// isBinary reports whether a value begins as no JSON text does: with bytes that stand in no text, before any quote in
// which they could be a mistake of their own.
func isBinary(b []byte) bool {
	const looked = 64
	b = b[:min(len(b), looked)]
	if quote := bytes.IndexByte(b, '"'); quote >= 0 && strings.IndexByte("{[", b[0]) >= 0 {
		b = b[:quote]
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size == 1 && utf8.FullRune(b), r < ' ' && r != '\t' && r != '\n' && r != '\r':
			return true
		}
		b = b[size:]
	}
	return false
}

// topLevelAdvice says what to do about a value that is JSON but no object.
func topLevelAdvice(kind jsontext.Kind, value jsontext.Value) string {
	switch {
	case kind == jsontext.KindBeginArray:
		return "send one JSON object, and one record for each task"
	case kind == jsontext.KindString && strings.HasPrefix(strings.TrimSpace(Unquote(value)), "{"):
		return "it holds JSON as text, so it was encoded twice; send the JSON object itself"
	}
	return "send one JSON object with task_id, user_id, task_name, mode and service"
}

// describeSyntax says where the JSON breaks and what usually causes it.
func describeSyntax(b []byte, e *jsontext.SyntacticError) (field, problem string) {
	field = dotted(e.JSONPointer)
	at := int(e.ByteOffset)
	switch {
	case errors.Is(e.Err, jsontext.ErrDuplicateName):
		return field, "is given twice; send it once"
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "", fmt.Sprintf("the value ends at byte %d in the middle of the JSON; it was cut off, "+
			"or a quote or bracket is missing", len(b))
	case strings.Contains(e.Err.Error(), "max depth"):
		return rootOf(field), "is nested deeper than 10000 levels; flatten it, or send it as a string"
	case strings.Contains(e.Err.Error(), "after top-level value"):
		return "", fmt.Sprintf("the value goes on after the JSON object ends, at byte %d; send one object in each record", at)
	}
	subject := ""
	if field == "" {
		subject = "the value "
	}
	if strings.Contains(e.Err.Error(), "invalid UTF-8") {
		return field, fmt.Sprintf("%shas bytes that are not UTF-8, at byte %d; encode the text as UTF-8", subject, at)
	}
	return field, fmt.Sprintf("%sis not valid JSON at byte %d: %s%s", subject, at, shown(e.Err.Error()),
		syntaxAdvice(b, at, e.Err))
}

// syntaxAdvice names the usual cause of what stands at a byte, "" if unknown.
func syntaxAdvice(b []byte, at int, err error) string {
	if at < 0 || at >= len(b) {
		return ""
	}
	rest := b[at:]
	switch text := err.Error(); {
	case strings.Contains(text, "surrogate"):
		return "; it is half of a surrogate pair, send whole characters"
	case rest[0] < ' ' && strings.Contains(text, "string"):
		return `; escape control characters in strings, as in \n`
	case !strings.Contains(text, "at start of"):
		return ""
	}
	for _, cause := range [...]struct{ start, advice string }{
		{"NaN", "JSON has no NaN, send null or leave it out"},
		{"nan", "JSON has no nan, send null or leave it out"},
		{"Infinity", "JSON has no Infinity, send null or leave it out"},
		{"-Infinity", "JSON has no Infinity, send null or leave it out"},
		{"inf", "JSON has no inf, send null or leave it out"},
		{"undefined", "JSON has no undefined, send null or leave it out"},
		{"None", "write null"},
		{"True", "write true"},
		{"False", "write false"},
		{"'", "put strings in double quotes"},
		{"/", "JSON has no comments"},
		{"}", "a comma is too many or a value is missing before it"},
		{"]", "a comma is too many or a value is missing before it"},
		{"+", "write numbers without a plus sign"},
		{".", "write numbers with a digit before the point"},
	} {
		if bytes.HasPrefix(rest, []byte(cause.start)) {
			return "; " + cause.advice
		}
	}
	return ""
}

// dotted is a JSON pointer as people write it: retry.max_attempts.
func dotted(p jsontext.Pointer) string {
	text := cut(strings.TrimPrefix(string(p), "/"), maxFieldChars)
	return shown(strings.NewReplacer("/", ".", "~1", "/", "~0", "~").Replace(text))
}

func rootOf(field string) string {
	root, _, _ := strings.Cut(field, ".")
	return root
}

// shown is text of the sender's that is safe in a log, a header and an event:
// cut, and quoted if it has anything that does not print.
func shown(s string) string {
	s = cut(s, maxFieldChars)
	for _, c := range s {
		if !strconv.IsPrint(c) || c == utf8.RuneError {
			return strconv.Quote(s)
		}
	}
	return s
}

// cut is s with at most that many characters, and "..." where it was cut.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "..."
		}
		n++
	}
	return s
}

// quotingAdvice tells the sender of a bare 42 to write "42", and the other way round.
func quotingAdvice(want string, value jsontext.Value) string {
	if len(value) > maxQuoted {
		return ""
	}
	switch value.Kind() {
	case jsontext.KindNumber:
		if want == "a string" {
			return `; write "` + string(value) + `"`
		}
	case jsontext.KindString:
		text := jsontext.Value(Unquote(value))
		if strings.HasSuffix(want, "number") && text.Kind() == jsontext.KindNumber && text.IsValid() {
			return "; write " + string(text) + " without quotes"
		}
	}
	return ""
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	}
	return "what it is"
}
