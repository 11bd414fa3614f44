package schemas

import _ "embed"

//go:embed openapi.yaml
var openAPI string

//go:embed asyncapi.yaml
var asyncAPI string

// OpenAPI is the OpenAPI 3.1 document of the HTTP API, in YAML.
func OpenAPI() []byte { return []byte(openAPI) }

// AsyncAPI is the AsyncAPI 3.0 document of the topics and the notifier's
// WebSocket, in YAML.
func AsyncAPI() []byte { return []byte(asyncAPI) }
