package cli

import "github.com/spf13/cobra"

// ofCelery says what to do here instead of what a command of Celery does, where no command of ours is one for one in
// its place; "" for any other word.
func ofCelery(cmd *cobra.Command, word string) string {
	if cmd.HasParent() {
		word = cmd.Name() + " " + word
	}
	const (
		running = "GET /v1/tasks?status=running&user_id=USER of the API lists what runs, and tasklane_active_tasks in its " +
			"/metrics counts it"
		waiting = "GET /v1/tasks?status=pending&user_id=USER of the API lists what waits, each task with what for, and " +
			"tasklane_queue_waiting in its /metrics counts it"
		workers = "tasklane_lane_processors in /metrics counts the processors of each lane, and each has a /readyz"
		flower  = "there is no page to look at yet; \"tasklane watch\" shows events as they come, GET /v1/tasks lists and " +
			"searches tasks, and /metrics is for Prometheus (docs/MONITORING.md)"
		services = "\"tasklane services\" lists what services and tasks there are"
	)
	return map[string]string{
		"beat": "nothing starts tasks by a schedule yet; one that is to start later is sent with " +
			"\"tasklane submit --not-before 8h\", and cron may do that",
		"purge": "nothing empties a lane; \"tasklane kill lane fast --for 1m\" ends all that waits or runs there, and what " +
			"comes within that minute (or of a service, task name or user); \"tasklane cancel\" ends one task",
		"flower": flower, "events": flower, "monitor": flower, "top": flower,
		"control": "\"tasklane pause\", \"resume\", \"kill\", \"limits\" and \"cancel\" act on what runs",
		"multi":   "start \"tasklane processor\" once for each; the system's service manager keeps them running",
		"shell":   "there is no shell; programs use the API, the Go package client or any Kafka client",

		"inspect active": running, "inspect query_task": "\"tasklane get TASK_ID\" shows a task",
		"inspect scheduled": waiting, "inspect reserved": waiting,
		"inspect revoked":    "\"tasklane inspect controls --kind cancel\" lists the cancels in force",
		"inspect registered": services, "inspect conf": "\"tasklane config print\" shows the settings",
		"inspect stats": workers, "inspect ping": workers, "inspect workers": workers, "inspect active_queues": workers,
		"inspect lanes": workers,
	}[word]
}
