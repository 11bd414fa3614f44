package taskview

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/schemas"
)

// TestAStoredResultIsAReference, in the view and after a restart, and nothing stands in its place.
func TestAStoredResultIsAReference(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	stored := &schemas.Artifact{
		Hash: strings.Repeat("0a", 32), Name: "result.json", Type: "application/json", Size: 300_000,
	}
	b.task("fast", 0, taskJSON("ada", "t1"))
	ended := state("ada", "t1", schemas.Completed, 1)
	ended.ResultArtifact = stored
	b.event("fast", 0, ended)
	for range 2 {
		v, stop := b.start(b.config(dir))
		got := b.get(v, "ada", "t1")
		if diff := cmp.Diff(stored, got.ResultArtifact); diff != "" || len(got.Result) > 0 {
			t.Errorf("%s, result %s", diff, got.Result)
		}
		if diff := cmp.Diff(stored, got.Outcome().ResultArtifact); diff != "" {
			t.Error(diff)
		}
		stop()
	}
}
