package schemas

import _ "embed" // the schemas are part of the binary

//go:embed task.schema.json
var taskSchema string

//go:embed event.schema.json
var eventSchema string

//go:embed control.schema.json
var controlSchema string

// TaskSchema is the JSON Schema (draft 2020-12) of a record on a lane.
func TaskSchema() []byte { return []byte(taskSchema) }

// EventSchema is the JSON Schema of a record on task-events.
func EventSchema() []byte { return []byte(eventSchema) }

// ControlSchema is the JSON Schema of a record on task-control.
func ControlSchema() []byte { return []byte(controlSchema) }

//go:embed openapi.yaml
var openAPI string

//go:embed openai.yaml
var openAIAPI string

//go:embed asyncapi.yaml
var asyncAPI string

// OpenAPI is the OpenAPI 3.1 document of the HTTP API, in YAML.
func OpenAPI() []byte { return []byte(openAPI) }

// OpenAIAPI is the OpenAPI 3.1 document of the OpenAI API that the producer serves, in YAML.
func OpenAIAPI() []byte { return []byte(openAIAPI) }

// AsyncAPI is the AsyncAPI 3.0 document of the topics and the notifier's WebSocket, in YAML.
func AsyncAPI() []byte { return []byte(asyncAPI) }
