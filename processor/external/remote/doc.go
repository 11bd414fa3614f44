// Package remote gives tasks to workers that ask for them over HTTP (docs/REMOTE-WORKERS.md): programs that the
// processor can neither start nor reach.
//
// A [Server] listens. Each of its services keeps the polls of workers that wait for a task; an attempt is let in when
// there is one, and becomes a lease: what one worker may say about one attempt, under an id that nobody else knows. A
// worker that says nothing for the heartbeat window has lost its lease, and the task an attempt with its worker.
package remote
