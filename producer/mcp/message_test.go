package mcp

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestMessages(t *testing.T) {
	for name, tt := range map[string]struct {
		body, id, method, params string
		request                  bool
	}{
		"request": {`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `1`, "ping", ``, true},
		"with params": {`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}`, `"a"`, "tools/call",
			`{"name":"x"}`, true},
		"empty id":    {`{"jsonrpc":"2.0","id":"","method":"ping"}`, `""`, "ping", ``, true},
		"largest id":  {`{"jsonrpc":"2.0","id":9223372036854775807,"method":"m"}`, `9223372036854775807`, "m", ``, true},
		"negative id": {`{"jsonrpc":"2.0","id":-1,"method":"m"}`, `-1`, "m", ``, true},
		"notification": {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, ``, "notifications/initialized", ``,
			false},
		"response":       {`{"jsonrpc":"2.0","id":1,"result":{}}`, `1`, "", ``, false},
		"error":          {`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`, `1`, "", ``, false},
		"more members":   {`{"jsonrpc":"2.0","id":1,"method":"m","later":[1]}`, `1`, "m", ``, true},
		"in white space": {" \r\n\t{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"m\"}\n", `1`, "m", ``, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if string(m.ID) != tt.id || m.Method != tt.method || string(m.Params) != tt.params ||
				m.isRequest() != tt.request {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		code int
		says string
		id   string
	}{
		"nothing":          {"", parseError, "empty", ""},
		"white space":      {" \n\t ", parseError, "empty", ""},
		"cut off":          {`{"jsonrpc":"2.0","id":1,"method":"m"`, parseError, "byte", ""},
		"no JSON":          {`hello`, parseError, "byte 0", ""},
		"two":              {`{"jsonrpc":"2.0","method":"a"}{"jsonrpc":"2.0","method":"b"}`, parseError, "byte", ""},
		"not UTF-8":        {"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", parseError, "UTF-8", ""},
		"twice the id":     {`{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}`, parseError, "byte", ""},
		"deep":             {strings.Repeat("[", 100_000), invalidRequest, "batches", ""},
		"deep in params":   {`{"jsonrpc":"2.0","params":` + strings.Repeat(`{"a":`, 100_000), parseError, "byte", ""},
		"batch":            {`[{"jsonrpc":"2.0","id":1,"method":"m"}]`, invalidRequest, "POST of its own", ""},
		"empty batch":      {`[]`, invalidRequest, "batches", ""},
		"text":             {`"ping"`, invalidRequest, "one JSON object", ""},
		"null":             {`null`, invalidRequest, "jsonrpc", ""},
		"number":           {`7`, invalidRequest, "one JSON object", ""},
		"no version":       {`{"id":1,"method":"m"}`, invalidRequest, "jsonrpc", "1"},
		"version 1":        {`{"jsonrpc":"1.0","id":1,"method":"m"}`, invalidRequest, "jsonrpc", "1"},
		"version a number": {`{"jsonrpc":2.0,"id":1,"method":"m"}`, invalidRequest, "jsonrpc", "1"},
		"id null":          {`{"jsonrpc":"2.0","id":null,"method":"m"}`, invalidRequest, "id must", ""},
		"id a fraction":    {`{"jsonrpc":"2.0","id":1.5,"method":"m"}`, invalidRequest, "id must", ""},
		"id with exponent": {`{"jsonrpc":"2.0","id":1e3,"method":"m"}`, invalidRequest, "id must", ""},
		"id too large":     {`{"jsonrpc":"2.0","id":9223372036854775808,"method":"m"}`, invalidRequest, "id must", ""},
		"id an object":     {`{"jsonrpc":"2.0","id":{},"method":"m"}`, invalidRequest, "id must", ""},
		"id a list":        {`{"jsonrpc":"2.0","id":[],"method":"m"}`, invalidRequest, "id must", ""},
		"id true":          {`{"jsonrpc":"2.0","id":true,"method":"m"}`, invalidRequest, "id must", ""},
		"id too long": {`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", maxIDBytes) + `","method":"m"}`, invalidRequest,
			"id must", ""},
		"no method":          {`{"jsonrpc":"2.0","id":1}`, invalidRequest, "method is missing", "1"},
		"nothing but a 2.0":  {`{"jsonrpc":"2.0"}`, invalidRequest, "method is missing", ""},
		"result and error":   {`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, invalidRequest, "method is missing", "1"},
		"result without id":  {`{"jsonrpc":"2.0","result":{}}`, invalidRequest, "method is missing", ""},
		"method empty":       {`{"jsonrpc":"2.0","id":1,"method":""}`, invalidRequest, "method must", "1"},
		"method a number":    {`{"jsonrpc":"2.0","id":"x","method":1}`, invalidRequest, "method must", `"x"`},
		"method null":        {`{"jsonrpc":"2.0","id":1,"method":null}`, invalidRequest, "method must", "1"},
		"params a list":      {`{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}`, invalidParams, "params must", "1"},
		"params a text":      {`{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}`, invalidParams, "params must", "1"},
		"params null":        {`{"jsonrpc":"2.0","id":1,"method":"m","params":null}`, invalidParams, "params must", "1"},
		"compressed":         {"\x1f\x8b\x08\x00\x00", parseError, "gzip", ""},
		"byte order mark":    {"\xef\xbb\xbf{}", parseError, "", ""},
		"in another charset": {"\xff\xfe{\x00}\x00", parseError, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse([]byte(tt.body))
			var e *rpcError
			if !errors.As(err, &e) {
				t.Fatalf("%+v, %v", m, err)
			}
			if e.code != tt.code || !strings.Contains(e.message, tt.says) || string(e.id) != tt.id {
				t.Errorf("%d %q, id %s; want %d %q, id %s", e.code, e.message, e.id, tt.code, tt.says, tt.id)
			}
		})
	}
}

// FuzzParse: whatever is sent is a message or an error of the protocol, and its answer is one that can be read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,2]}}}`,
		`{"jsonrpc":"2.0","id":"\ud83d\ude00","method":"ping"}`, `{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[]`, `{`, `null`, "\xff", `{"id":1e400}`,
		`{"jsonrpc":"2.0","id":-0,"method":"m"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parse(body)
		if err == nil {
			switch {
			case m.Method == "" && len(m.ID) == 0:
				t.Fatalf("%q is a message of no kind", body)
			case len(m.ID) > 0 && !validID(m.ID):
				t.Fatalf("id %s", m.ID)
			case len(m.Params) > 0 && m.Params.Kind() != '{':
				t.Fatalf("params %s", m.Params)
			}
			r := &request{message: *m}
			_ = r.settle(nil)
			answered(t, r.response(object{}), m.ID)
			return
		}
		var e *rpcError
		if !errors.As(err, &e) || e.message == "" || e.httpStatus(true) < 400 {
			t.Fatalf("%q: %v", body, err)
		}
		answered(t, e.body(), e.id)
	})
}

// answered checks that an answer is one message with the id.
func answered(t *testing.T, o object, id jsontext.Value) {
	t.Helper()
	b, err := encode(o)
	if err != nil {
		t.Fatal(err)
	}
	said := members(b)["id"]
	if len(id) == 0 {
		id = jsontext.Value("null")
	}
	if want, got := id.Clone(), said.Clone(); want.Canonicalize() != nil || got.Canonicalize() != nil ||
		string(want) != string(got) {
		t.Fatalf("answered %s to id %s", b, id)
	}
}

// Results of services are sent on as they are, also those that are no good JSON by today's rules.
func TestEncodeTakesAnyResult(t *testing.T) {
	for _, value := range []string{`{"a":1,"a":2}`, "\"\xff\"", "{\n \"a\" : 1\n}", `1e400`} {
		b, err := encode(object{"result": jsontext.Value(value)})
		if err != nil || strings.ContainsAny(string(b), "\n\r") {
			t.Errorf("%q: %q, %v", value, b, err)
		}
	}
	if _, err := encode(object{"result": func() {}}); err == nil {
		t.Error("what is no JSON was encoded")
	}
}
