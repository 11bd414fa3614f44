// Package openai is the OpenAI API in front of the lanes: /openai/v1 of the producer
// role, and the stream of vercel/ai's clients. docs/OPENAI.md has what it guarantees.
//
// A request becomes a task: its id is the object's, so every instance answers for it. What
// a client sees of it is a function of the task's record and of its events that count, and
// of nothing else: the same sequence numbers on every instance, after every restart, for
// every reader. A client that goes away cancels nothing.
//
// It starts nothing. The role that serves it calls [Door.Drain] before it shuts down.
package openai
