// Package producer is the role that puts tasks on the lanes: the HTTP API with
// the task view behind it.
//
// What it guarantees: a 202 is sent only after the broker has acknowledged the
// task (all in-sync replicas); a GET right after it never answers 404; a POST
// with the same task_id or Idempotency-Key and the same content never makes a
// second task, in whichever state the first is; when the outcome of a produce is
// not known in time the answer is 504 with the task_id, and the same POST can be
// sent again.
//
// What it does not: two instances that get different tasks with one id at the
// same moment both answer 202; the first on the lane is run and the other is
// recorded as a repeat.
//
// Every queue is bounded: tasks in flight by count and bytes, waiting callers,
// the size of a request and of a page. What is beyond a bound is refused at once
// with 503 and Retry-After.
package producer
