package mcp

import (
	"time"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// The statuses of tasks in the protocol.
const (
	statusWorking   = "working"
	statusCompleted = "completed"
	statusFailed    = "failed"
	statusCancelled = "cancelled"
)

const (
	// pollRunning and pollWaiting are how often clients should ask.
	pollRunning = time.Second
	pollWaiting = 3 * time.Second
)

// state is a task as the protocol has it.
func state(r *request, t *taskview.Task, retention time.Duration) object {
	until, poll := time.Now(), pollRunning
	if t.EndedAt != nil {
		until = t.EndedAt.Time
	}
	if t.Waiting != nil {
		poll = pollWaiting
	}
	kept := max(until.Sub(t.CreatedAt.Time), 0) + retention
	o := object{
		"taskId": t.TaskID, "status": statusOf(r, t.Status), "createdAt": t.CreatedAt, "lastUpdatedAt": t.UpdatedAt,
		"_meta": metaOf(t),
	}
	if text := statusText(t); text != "" {
		o["statusMessage"] = text
	}
	lifetime, interval := "ttl", "pollInterval"
	if r.modern {
		lifetime, interval = "ttlMs", "pollIntervalMs"
	}
	o[lifetime], o[interval] = kept.Milliseconds(), poll.Milliseconds()
	return o
}

// metaOf is what the protocol has no place for.
func metaOf(t *taskview.Task) object {
	meta := object{metaStatus: string(t.Status)}
	if t.ErrorCode != "" {
		meta[metaErrorCode] = string(t.ErrorCode)
	}
	if t.Progress != nil {
		meta[metaProgress] = t.Progress
	}
	return meta
}

// statusOf is a status in the protocol. A task that failed has a result, which says so: since 2026-07-28 it is
// completed, before it is failed.
func statusOf(r *request, status schemas.Status) string {
	switch {
	case status == schemas.Completed:
		return statusCompleted
	case status == schemas.Cancelled:
		return statusCancelled
	case !status.Terminal() && status != schemas.Lost:
		return statusWorking
	case r.modern:
		return statusCompleted
	}
	return statusFailed
}

// statusText says in words how a task stands, "" if there is nothing to say.
func statusText(t *taskview.Task) string {
	switch {
	case t.Error != "":
		return t.Error
	case t.Status == schemas.Running && t.Progress != nil:
		return "running: " + progressText(t.Progress)
	case t.Status == schemas.Running:
		return "running"
	case t.Status == schemas.Pending && t.Waiting != nil:
		text := "waiting for " + t.Waiting.For
		if t.Waiting.Until != nil {
			text += " until " + t.Waiting.Until.Format(time.RFC3339)
		}
		return text
	case t.Status == schemas.Pending:
		return "queued"
	}
	return ""
}
