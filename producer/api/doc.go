// Package api is the HTTP API of tasks and controls: /v1 of the producer role. Each
// resource has its file; handlers return errors, and package httpedge answers them.
//
// It starts nothing. The role that serves it owns the view, the writers and the
// listener, and calls [API.Drain] before it shuts down.
package api
