package main

// The topics and lanes of docs/TOPICS.md.
const (
	eventsTopic  = "task-events"
	lettersTopic = "tasks.dlq"
	controlTopic = "task-control"
)

func lanes() []string { return []string{"fast", "heavy"} }

func laneTopic(lane string) string { return "tasks." + lane }

func laneGroup(lane string) string { return "tasklane.processor." + lane }
