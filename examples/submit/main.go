// Command submit puts a task on a lane with the Go SDK, prints its events as
// they come, and then its result.
//
//	go run ./examples/submit
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func main() {
	if err := run(context.Background(), client.Config{}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "submit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config client.Config, out io.Writer) error {
	c, err := client.New(config) // the zero Config is a Tasklane on this machine
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer c.Close()
	handle, err := c.Submit(ctx, schemas.LaneFast, schemas.Task{
		UserID: "alice", TaskName: "analyze_text", Mode: "chat", Service: "text_analyzer",
		InputData: jsontext.Value(`{"text": "Il pacco è arrivato in anticipo e sono molto felice."}`),
	})
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	watch := client.WatchRequest{UserID: handle.UserID, TaskID: handle.TaskID, Since: handle.Cursor}
	for event, err := range c.Watch(ctx, watch) {
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		fmt.Fprintln(out, event.Status, event.Message)
		if event.Terminal() {
			break
		}
	}
	result, err := handle.Wait(ctx)
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	fmt.Fprintf(out, "%s\n", result.Result)
	return nil
}
