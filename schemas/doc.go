// Package schemas is Tasklane's contract: the task that goes onto a lane, the event that comes back, the control
// record between operators and processors, the state machine a task walks through, and the names of the topics they
// travel on. Everything on the wire is snake_case JSON, times are RFC 3339 in UTC, ids are strings.
//
// The package imports nothing else of the project, so a client in any role can use it. The JSON Schemas (draft
// 2020-12), the OpenAPI and the AsyncAPI documents are embedded; [DecodeTask] validates against the same rules and a
// test keeps the two in step.
package schemas
