// Package clienttest is a Tasklane in memory, for tests of code that submits
// tasks: it needs no Kafka and no processor.
//
//	server := clienttest.New(t)
//	server.Handle("detect_language", func(ctx context.Context, task *clienttest.Task) (any, error) {
//		return map[string]string{"language": "de"}, nil
//	})
//	handle, err := server.Client().Submit(ctx, schemas.LaneFast, schemas.Task{ … })
//
// It speaks what package client does: POST /v1/tasks, GET of a task, its result
// (with wait) and its events, its cancel, and the notifier's WebSocket with cursors.
// Tasks and queries are checked as the real API checks them, with members and parameters
// that are not known; a repeated task_id is one task, and
// a unique task ends as a duplicate of one with the same content, user and lane.
// A task runs at once, in one attempt, and its error ends it: retries, priorities,
// limits and schedules are the processor's, and not here. A cancel ends the context
// of the task's handler with schemas.ErrCancelled, as the processor does. Tasks can be
// lost (Server.Lose). Everything is kept until the test ends.
//
// Of package client it refuses SetControl, LiftControl and Controls, and a Watch
// with a BatchID. It looks at no token, and knows no Idempotency-Key.
package clienttest
