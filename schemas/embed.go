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
