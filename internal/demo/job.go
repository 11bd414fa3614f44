package demo

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/examples/reviews"
	"github.com/aiecs/tasklane/schemas"
)

// job is one task.
type job struct {
	id, lane, name string
	review         reviews.Review
}

// newJobs makes two tasks of every review.
func newJobs(all []reviews.Review) []job {
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
