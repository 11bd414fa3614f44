// Package mcp is the Model Context Protocol in front of the lanes: POST /mcp of the producer role. docs/MCP.md has
// what it guarantees.
//
// Every task that a service describes is a tool, and a call of a tool becomes a task: its id is the task's of the
// protocol, so every instance answers for it. Nothing is kept between requests: what an answer is made of stands in
// the request, in the catalog of services and in the task view. It speaks 2026-07-28 with the extension
// io.modelcontextprotocol/tasks, and the versions before it that begin with initialize.
//
// It starts nothing. The role that serves it calls [Door.Drain] before it shuts down.
package mcp
