// Package demo runs customer reviews through an installation and shows how it goes:
// two tasks a review, a watch for each user, a bar for each lane, and in the end what
// came out and whether anything is missing.
package demo

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/examples/reviews"
)

// submitters is how many tasks are submitted at a time.
const submitters = 16

// Run submits every task, watches every user, draws on out and prints there what came
// out. It returns an error if a task failed, or an event is missing or wrong, or ctx
// ends before all tasks have, with its cause.
func Run(ctx context.Context, c *client.Client, out io.Writer, terminal bool) error {
	all, err := reviews.All()
	if err != nil {
		return err //nolint:wrapcheck // it says what
	}
	jobs := newJobs(all)
	t := newTally(jobs)
	bars := newBars(out, terminal, t)
	started := time.Now()
	drawCtx, stopDrawing := context.WithCancel(ctx)
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		bars.run(drawCtx)
	}()
	work, workCtx := errgroup.WithContext(ctx)
	for _, user := range t.users() {
		work.Go(func() error { return watchUser(workCtx, c, user, t) })
	}
	work.Go(func() error { return submitJobs(workCtx, c, jobs) })
	err = work.Wait()
	took := time.Since(started)
	stopDrawing()
	<-drawn
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %d of %d tasks have ended", context.Cause(ctx), t.ended(), len(jobs))
	}
	if err != nil {
		return err
	}
	if err := printOutcome(out, t, took); err != nil {
		return err
	}
	return t.problems()
}

func submitJobs(ctx context.Context, c *client.Client, jobs []job) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(submitters)
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			task, err := j.task()
			if err != nil {
				return err
			}
			_, err = c.Submit(ctx, j.lane, task)
			return err //nolint:wrapcheck // it names the task
		})
	}
	return group.Wait() //nolint:wrapcheck // as above
}

// watchUser follows a user's events until all of their tasks have ended.
func watchUser(ctx context.Context, c *client.Client, user string, t *tally) error {
	request := client.WatchRequest{UserID: user, Since: client.SinceEarliest}
	for event, err := range c.Watch(ctx, request) {
		if err != nil {
			return err
		}
		if t.take(&event.Event) {
			return nil
		}
	}
	return nil
}
