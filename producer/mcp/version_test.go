package mcp

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{}}`
	tasksMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
)

// headers are name and value in turns.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func modernHeaders(method, name string, more ...string) http.Header {
	all := append([]string{headerVersion, version20260728, headerMethod, method}, more...)
	if name != "" {
		all = append(all, headerName, name)
	}
	return headers(all...)
}

func TestVersionsOfRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		method, params  string
		headers         http.Header
		version         string
		modern, willing bool
	}{
		"initialize":       {"initialize", `{"protocolVersion":"2025-06-18"}`, nil, version20251125, false, false},
		"initialize again": {"initialize", `{}`, headers(headerVersion, "1999-01-01"), version20251125, false, false},
		"no header":        {"tools/list", ``, nil, version20250326, false, false},
		"2025-03-26":       {"tools/list", ``, headers(headerVersion, version20250326), version20250326, false, false},
		"2025-06-18":       {"tools/list", `{}`, headers(headerVersion, version20250618), version20250618, false, false},
		"2025-11-25": {"tools/list", `{"_meta":{"progressToken":1}}`, headers(headerVersion, version20251125),
			version20251125, false, false},
		"meta no object": {"tools/list", `{"_meta":7}`, headers(headerVersion, version20251125), version20251125, false,
			false},
		"2026-07-28": {"tools/list", `{` + modernMeta + `}`, modernHeaders("tools/list", ""), version20260728, true,
			false},
		"with tasks": {"tools/call", `{"name":"x",` + tasksMeta + `}`, modernHeaders("tools/call", "x"),
			version20260728, true, true},
		"in Base64": {"tools/call", `{"name":"x",` + modernMeta + `}`,
			modernHeaders("tools/call", "=?base64?"+base64.StdEncoding.EncodeToString([]byte("x"))+"?="), version20260728,
			true, false},
		"task": {"tasks/get", `{"taskId":"mcp_1",` + tasksMeta + `}`, modernHeaders("tasks/get", "mcp_1"),
			version20260728, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &request{message: message{ID: jsontext.Value("1"), Method: tt.method, Params: jsontext.Value(tt.params)}}
			if err := r.settle(tt.headers); err != nil {
				t.Fatal(err)
			}
			if r.version != tt.version || r.modern != tt.modern || r.takesTasks != tt.willing {
				t.Errorf("version %s, modern %v, takes tasks %v", r.version, r.modern, r.takesTasks)
			}
		})
	}
}

func TestWrongVersions(t *testing.T) {
	two := modernHeaders("tools/list", "")
	two.Add(headerMethod, "tools/list")
	for name, tt := range map[string]struct {
		method, params string
		headers        http.Header
		code           int
		says           string
	}{
		"unknown":     {"tools/list", ``, headers(headerVersion, "1900-01-01"), unsupportedProtocols, "2025-11-25"},
		"before HTTP": {"tools/list", ``, headers(headerVersion, "2024-11-05"), unsupportedProtocols, "2025-03-26"},
		"later": {"tools/list", strings.ReplaceAll(`{`+modernMeta+`}`, "2026-07-28", "2027-01-01"),
			headers(headerVersion, "2027-01-01"), unsupportedProtocols, "2026-07-28"},
		"legacy in meta": {"tools/list", strings.ReplaceAll(`{`+modernMeta+`}`, "2026-07-28", "2025-11-25"),
			headers(headerVersion, "2025-11-25"), unsupportedProtocols, "2025-11-25"},
		"no meta": {"tools/list", ``, modernHeaders("tools/list", ""), invalidParams, "_meta"},
		"no version header": {"tools/list", `{` + modernMeta + `}`, headers(headerMethod, "tools/list"), headerMismatch,
			"MCP-Protocol-Version"},
		"other header": {"tools/list", `{` + modernMeta + `}`, headers(headerVersion, version20251125),
			headerMismatch, "2025-11-25"},
		"version no text": {"tools/list", strings.ReplaceAll(`{`+modernMeta+`}`, `"2026-07-28"`, "7"),
			modernHeaders("tools/list", ""), invalidParams, "must be a string"},
		"no capabilities": {"tools/list", `{"_meta":{"` + metaVersion + `":"2026-07-28"}}`, modernHeaders("tools/list",
			""), invalidParams, metaCapabilities},
		"capabilities list": {"tools/list", strings.ReplaceAll(`{`+modernMeta+`}`, `{}}`, `[]}`),
			modernHeaders("tools/list", ""), invalidParams, metaCapabilities},
		"no method": {"tools/list", `{` + modernMeta + `}`, headers(headerVersion, version20260728),
			headerMismatch, "Mcp-Method"},
		"other method": {"tools/list", `{` + modernMeta + `}`, modernHeaders("tools/call", ""), headerMismatch,
			"tools/call"},
		"method in capital": {"tools/list", `{` + modernMeta + `}`, modernHeaders("Tools/List", ""), headerMismatch,
			"Mcp-Method"},
		"no name": {"tools/call", `{"name":"x",` + modernMeta + `}`, modernHeaders("tools/call", ""),
			headerMismatch, "Mcp-Name"},
		"other name": {"tools/call", `{"name":"x",` + modernMeta + `}`, modernHeaders("tools/call", "y"),
			headerMismatch, `"y"`},
		"other task": {"tasks/get", `{"taskId":"a",` + tasksMeta + `}`, modernHeaders("tasks/get", "b"),
			headerMismatch, "taskId"},
		"damaged Base64": {"tools/call", `{"name":"x",` + modernMeta + `}`, modernHeaders("tools/call",
			"=?base64?!?="), headerMismatch, "Mcp-Name"},
		"two methods": {"tools/list", `{` + modernMeta + `}`, two, headerMismatch, "more than once"},
		"two versions": {"tools/list", ``, headers(headerVersion, version20251125, headerVersion, version20250618),
			headerMismatch, "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &request{message: message{ID: jsontext.Value("1"), Method: tt.method, Params: jsontext.Value(tt.params)}}
			err := r.settle(tt.headers)
			var e *rpcError
			if !errors.As(err, &e) || e.code != tt.code || !strings.Contains(e.message, tt.says) {
				t.Fatalf("%v, want %d %q", err, tt.code, tt.says)
			}
			if e.httpStatus(r.modern) != http.StatusBadRequest {
				t.Errorf("status %d", e.httpStatus(r.modern))
			}
			if supported, _ := e.data["supported"].([]string); (e.code == unsupportedProtocols) != (len(supported) == 4) {
				t.Errorf("supported %v", supported)
			}
		})
	}
}

func TestHeadersAreDecoded(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "plain": "plain", "=?base64?eA==?=": "x", "=?base64??=": "", "=?base64?eA==": "=?base64?eA==",
		"=?BASE64?eA==?=": "=?BASE64?eA==?=", "=?base64?%?=": "=?base64?%?=", "=?base64?5L2g5aW9?=": "你好",
	} {
		if got := decodeHeader(value); got != want {
			t.Errorf("%q is %q, want %q", value, got, want)
		}
	}
}
