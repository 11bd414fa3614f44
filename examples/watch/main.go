// Command watch prints a user's events, and goes on where it was when it is
// started again: nothing is missed in between, and nothing is printed twice but
// what it was printing when it was ended.
//
//	go run ./examples/watch -user alice -file alice.cursor
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func main() {
	user := flag.String("user", "alice", "whose events")
	file := flag.String("file", "", "keeps the cursor; none if not given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, client.Config{}, *user, *file, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config client.Config, user, file string, out io.Writer) error {
	c, err := client.New(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer c.Close()
	since, err := place(file)
	if err != nil {
		return err
	}
	for event, err := range c.Watch(ctx, client.WatchRequest{UserID: user, Since: since}) {
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		fmt.Fprintln(out, event.TaskID, event.Kind, event.Status, text(&event))
		if err := keep(file, event.Cursor); err != nil {
			return err
		}
	}
	return nil
}

// text is what an event has to say.
func text(event *client.Event) string {
	switch event.Kind {
	case schemas.KindProgress:
		return fmt.Sprintf("%.0f%%", event.Progress.Percent)
	case schemas.KindOutput:
		return fmt.Sprintf("%q", event.Output.Text) // a model's text: quoted, or it could command the terminal
	}
	return fmt.Sprintf("%q", event.Message)
}

// place is where to go on; the beginning the first time.
func place(file string) (string, error) {
	if file == "" {
		return client.SinceNow, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return client.SinceEarliest, nil
	}
	if err != nil {
		return "", fmt.Errorf("read cursor: %w", err)
	}
	return string(text), nil
}

// keep replaces the file as a whole: half a cursor is none.
func keep(file, cursor string) error {
	if file == "" {
		return nil
	}
	if err := os.WriteFile(file+".new", []byte(cursor), 0o600); err != nil {
		return fmt.Errorf("keep cursor: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("keep cursor: %w", err)
	}
	return nil
}
