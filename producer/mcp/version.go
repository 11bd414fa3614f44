package mcp

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The versions that are spoken. Since 2026-07-28 every request says its own; before, they begin with initialize.
const (
	version20260728 = "2026-07-28"
	version20251125 = "2025-11-25"
	version20250618 = "2025-06-18"
	version20250326 = "2025-03-26"
)

// Members of _meta, extensions and headers of the protocol.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaServer       = "io.modelcontextprotocol/serverInfo"
	metaRelatedTask  = "io.modelcontextprotocol/related-task"
	tasksExtension   = "io.modelcontextprotocol/tasks"

	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
)

// versions are all of them, the newest first.
func versions() []string {
	return []string{version20260728, version20251125, version20250618, version20250326}
}

// isLegacy reports whether a version begins with initialize.
func isLegacy(version string) bool {
	return version != version20260728 && slices.Contains(versions(), version)
}

// request is a request, and what is known of who makes it.
type request struct {
	message
	meta map[string]jsontext.Value
	user string
	// version is the one that it is made in, and modern says that this is 2026-07-28.
	version string
	modern  bool
	// takesTasks says that its client takes a task in place of a result.
	takesTasks bool
}

// settle finds the version of a request, and checks what that asks of its headers.
func (r *request) settle(h http.Header) error {
	r.meta = members(members(r.Params)["_meta"])
	said, inBody := r.meta[metaVersion]
	for _, name := range []string{headerVersion, headerMethod, headerName} {
		if len(h.Values(name)) > 1 {
			return newError(headerMismatch, "the header "+name+" is given more than once")
		}
	}
	header := h.Get(headerVersion)
	switch {
	case r.Method == methodInitialize && !inBody:
		r.version = version20251125 // what it asks for is negotiated
		return nil
	case !inBody && header != version20260728:
		if r.version = header; header == "" {
			r.version = version20250326 // as 2025-06-18 and later say
		}
		if !isLegacy(r.version) {
			return unsupported(r.version)
		}
		return nil
	case !inBody:
		r.modern, r.version = true, header
		return newError(invalidParams, "params._meta must have "+metaVersion+` and `+metaCapabilities+
			` with every request of 2026-07-28`)
	}
	return r.settleModern(textOf(said), h)
}

func (r *request) settleModern(version string, h http.Header) error {
	r.modern, r.version = true, version
	switch header := h.Get(headerVersion); {
	case version == "":
		return newError(invalidParams, "params._meta."+metaVersion+" must be a string, such as "+version20260728)
	case header != version:
		return newError(headerMismatch, "the header MCP-Protocol-Version is "+quoted(header)+" and "+metaVersion+" is "+
			quoted(version)+"; send the same in both")
	case version != version20260728:
		return unsupported(version)
	}
	capabilities := r.meta[metaCapabilities]
	if len(capabilities) == 0 || capabilities.Kind() != '{' {
		return newError(invalidParams, "params._meta."+metaCapabilities+" must be an object; {} if the client has none")
	}
	_, r.takesTasks = members(members(capabilities)["extensions"])[tasksExtension]
	if header := h.Get(headerMethod); header != r.Method {
		return newError(headerMismatch, "the header Mcp-Method is "+quoted(header)+" and method is "+quoted(r.Method)+
			"; send the same in both")
	}
	return r.checkName(h.Get(headerName))
}

// checkName compares the header that says what a request is about.
func (r *request) checkName(header string) error {
	var member string
	switch r.Method {
	case methodCall:
		member = "name"
	case methodTasksGet, methodTasksUpdate, methodTasksCancel:
		member = "taskId"
	default:
		return nil
	}
	name, decoded := textOf(members(r.Params)[member]), decodeHeader(header)
	if decoded != name {
		return newError(headerMismatch, "the header Mcp-Name is "+quoted(decoded)+" and params."+member+" is "+quoted(name)+
			"; send the same in both")
	}
	return nil
}

// decodeHeader reads a header's value, which may be in Base64. One that is damaged is as it stands.
func decodeHeader(value string) string {
	inner, is := strings.CutPrefix(value, "=?base64?")
	if inner, is = cutSuffix(inner, "?=", is); !is {
		return value
	}
	text, err := base64.StdEncoding.DecodeString(inner)
	if err != nil {
		return value
	}
	return string(text)
}

func cutSuffix(text, suffix string, is bool) (string, bool) {
	rest, has := strings.CutSuffix(text, suffix)
	return rest, has && is
}

func unsupported(version string) error {
	e := newError(unsupportedProtocols, "the protocol version "+quoted(version)+" is not spoken here; there are "+
		strings.Join(versions(), ", "))
	e.data = object{"supported": versions(), "requested": version}
	return e
}
