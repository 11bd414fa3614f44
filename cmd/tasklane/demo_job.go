package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/examples/reviews"
	"github.com/aiecs/tasklane/schemas"
)

// demoSubmitters is how many tasks are submitted at a time.
const demoSubmitters = 16

// job is one task of the demo.
type job struct {
	id, lane, name string
	review         reviews.Review
}

// demoJobs makes two tasks of every review.
func demoJobs(all []reviews.Review) []job {
	jobs := make([]job, 0, 2*len(all))
	for _, r := range all {
		jobs = append(jobs,
			job{r.ID + ":language", schemas.LaneFast, "detect_language", r},
			job{r.ID + ":sentiment", schemas.LaneHeavy, "analyze_sentiment", r})
	}
	return jobs
}

func (j job) task() (schemas.Task, error) {
	input, err := json.Marshal(map[string]string{"text": j.review.Text})
	if err != nil {
		return schemas.Task{}, fmt.Errorf("encode review %s: %w", j.review.ID, err)
	}
	return schemas.Task{
		TaskID: j.id, UserID: j.review.User, TaskName: j.name, Mode: "chat", Service: "text_analyzer", InputData: input,
	}, nil
}

// runReviews submits every job, watches every user, draws, and prints the
// outcome.
func (a *app) runReviews(ctx context.Context, c *client.Client, all []reviews.Review) error {
	jobs := demoJobs(all)
	t := newTally(jobs)
	bars := newBars(a.stdout, a.terminal, t)
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
	err := work.Wait()
	took := time.Since(started)
	stopDrawing()
	<-drawn
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %d of %d tasks have ended", context.Cause(ctx), t.ended(), len(jobs))
	}
	if err != nil {
		return err
	}
	if err := printOutcome(a.stdout, t, took); err != nil {
		return err
	}
	return t.problems()
}

func submitJobs(ctx context.Context, c *client.Client, jobs []job) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(demoSubmitters)
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
