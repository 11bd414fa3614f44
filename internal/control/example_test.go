package control_test

import (
	"context"
	"fmt"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// How a processor asks: before every start, and of what it holds whenever
// something has changed.
func Example() {
	controls, err := control.New(control.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		Role: "processor"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // at once, this is an example
	changes := controls.Subscribe()
	defer changes.Close()
	_ = controls.Run(ctx) // in a goroutine of the role; take no task before Ready

	task := &schemas.Task{UserID: "alice", TaskID: "t-1", TaskName: "answer", Mode: "chat", Service: "assistant"}
	if cancel, cancelled := controls.Cancelled(task.UserID, task.TaskID); cancelled {
		fmt.Println("end it as cancelled:", cancel.Reason)
	}
	switch v := controls.Verdict(task, "fast"); v.Action {
	case control.Refuse:
		fmt.Println("end it as blocked:", v.Control.Target, v.Control.Reason)
	case control.Hold:
		fmt.Println("hold it until", v.Until, "and ask again after a change")
	case control.Run:
		fmt.Println("start it")
	}
	select {
	case <-changes.Changed():
		change := changes.Take()
		fmt.Println("end", change.Cancels, "or, if", change.Everything, "ask of all that is held; rules", change.Rules)
	default:
	}
	// Output: start it
}
