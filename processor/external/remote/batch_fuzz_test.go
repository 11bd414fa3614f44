package remote

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor/external/message"
)

// FuzzReadBatch: whatever a worker sends is taken as a whole or not at all; what is taken is about its own attempt, has
// a type and at most one last word, which is the last.
func FuzzReadBatch(f *testing.F) {
	for _, body := range []string{
		"", "{}", "\n\n", "{", "null", "7", "[]", `{"result":1}`, `{"result":null}`, `{"type":"result","result":1}`,
		"{\"type\":\"output\",\"text\":\"a\"}\n\n{\"type\":\"result\",\"result\":{}}\n", `{"type":"result"}`,
		"{\"type\":\"result\",\"result\":1}\n{\"type\":\"result\",\"result\":2}", `{"type":"ready","protocol":1}`,
		`{"type":"progress","id":"ME","percent":"x"}`, `{"id":"other","type":"log"}`, "\xff\xfe", `{"type":""}`,
		`{"type":"later"}`, "{\"type\":\"error\",\"message\":7}\r\n", `{"type":"log","id":7}`,
		`{"a":` + strings.Repeat("[", 11_000),
	} {
		f.Add([]byte(body), byte(0))
		f.Add([]byte(body), byte(6))
	}
	all := append(kinds(), anyKind)
	f.Fuzz(func(t *testing.T, body []byte, n byte) {
		kind := all[int(n)%len(all)]
		given := bytes.Clone(body)
		b, err := readBatch(kind, "ME", body)
		if !bytes.Equal(given, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if b != nil || !strings.Contains(err.Error(), "nothing of this request was taken") || len(err.Error()) > 1000 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if kind != anyKind && (len(b.messages) != 1 || b.messages[0].Type != kind) {
			t.Fatalf("%q is read as %+v of %s", body, b.messages, kind)
		}
		for i, m := range b.messages {
			if m.Type == "" || m.Type == message.Ready || m.ID != "" && m.ID != "ME" || m.Last() != (m == b.last()) ||
				m.Last() && i < len(b.messages)-1 {
				t.Fatalf("%q: message %d is %+v", body, i, m)
			}
		}
	})
}

// TestReadBatch: what is refused says what to change.
func TestReadBatch(t *testing.T) {
	for _, c := range []struct{ kind, body, want string }{
		{"result", `{"counts":{}}`, `{"result": …}`}, {"result", "", "result is missing"}, {"result", `[1]`, "no message"},
		{"output", `{"type":"log"}`, "the address is that of output"}, {"log", `{"id":"x"}`, "another attempt"},
		{anyKind, "\n{\"type\":\"log\"}\n{\"percent\":1}", `line 3: "{\"percent\":1}" has no type`},
		{anyKind, `{"type":"ready"}`, "/v1/worker/ready"},
		{anyKind, "{\"type\":\"cancelled\"}\n{\"type\":\"log\"}", "line 2: there is a message after the last word"},
		{anyKind, `{"type":"output","te`, "is no message; messages are JSON objects"},
	} {
		if _, err := readBatch(c.kind, "ME", []byte(c.body)); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "400 ") {
			t.Errorf("%s %s: %v, want %s", c.kind, c.body, err, c.want)
		}
	}
}
