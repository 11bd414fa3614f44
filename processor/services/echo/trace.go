package echo

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/processor"
)

// start is one line of the trace.
type start struct {
	PID     int    `json:"pid"`
	UserID  string `json:"user_id"`
	TaskID  string `json:"task_id"`
	Lane    string `json:"lane"`
	Attempt int    `json:"attempt"`
	AtMS    int64  `json:"at_ms"` // Unix time
}

// traced writes a line to a file before the handler runs. An attempt that
// leaves no trace is not run: the trace is there to be complete.
func traced(file string, run processor.Handler) processor.Handler {
	return func(ctx context.Context, c *processor.Context) (any, error) {
		if err := trace(file, c); err != nil {
			return nil, fmt.Errorf("write trace: %w", err)
		}
		return run(ctx, c)
	}
}

// trace appends in one write, which several processes may do to the same file.
// The file is opened each time, so that nobody has to close it.
func trace(file string, c *processor.Context) error {
	task := c.Task()
	line, err := json.Marshal(&start{
		PID: os.Getpid(), UserID: task.UserID, TaskID: task.TaskID,
		Lane: c.Lane(), Attempt: c.Attempt(), AtMS: time.Now().UnixMilli(),
	})
	if err != nil {
		return err
	}
	f, err := datadir.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}
