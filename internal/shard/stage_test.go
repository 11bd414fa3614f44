package shard

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/fold"
)

// Every step is named, leads on, and may be taken from somewhere; every stage but the
// first can be reached from it, and the last ones are left only as the table says.
func TestEveryStageCanBeReached(t *testing.T) {
	reached := setOf(stageReceived)
	for range stages {
		for s := range steps {
			if t := s.transition(); t.from&reached != 0 {
				reached |= setOf(t.to)
			}
		}
	}
	if reached != everyStage {
		t.Errorf("from %s stages %016b can be reached, want %016b", stageReceived, reached, everyStage)
	}
	for s := range steps {
		if row := s.transition(); row.from == 0 || row.from&^everyStage != 0 || row.to >= stages || s.String() == "" {
			t.Errorf("step %q from %016b to %d", s, row.from, row.to)
		}
		switch row := s.transition(); s {
		case stepFinish, stepDrop, stepUnfinish:
		default:
			if row.from&setOf(stageFinished, stageDropped) != 0 {
				t.Errorf("step %s may be taken by a job that has ended", s)
			}
		}
	}
	for s := range stages {
		if s.String() == "" {
			t.Errorf("stage %d has no name", s)
		}
	}
}

// A step that the table does not have is told of, and the count of running jobs stays
// right whatever is taken from where.
func TestStepsThatCannotBeTakenAreToldOf(t *testing.T) {
	for from := range stages {
		for next := range steps {
			d := new(desk)
			s := New(Config{Shard: fold.ShardID{Lane: "fast"}}, Port{d, d, d, d})
			j := &Job{stage: from}
			if from == stageRunning {
				s.jobs.working = 1
			}
			s.jobs.move(j, next)
			row := next.transition()
			told := len(d.notes) == 1 && strings.Contains(d.notes[0], "cannot take")
			if told == from.in(allOf(row.from)...) {
				t.Errorf("%s from %s: told of %v", next, from, d.notes)
			}
			if running := j.stage == stageRunning; j.stage != row.to || (s.jobs.working == 1) != running {
				t.Errorf("%s from %s leads to %s with %d running", next, from, j.stage, s.jobs.working)
			}
		}
	}
}

func allOf(set stageSet) (all []stage) {
	for s := range stages {
		if set&(1<<s) != 0 {
			all = append(all, s)
		}
	}
	return all
}
