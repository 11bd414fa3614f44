//go:build mutants

package shard

import (
	"github.com/aiecs/tasklane/internal/mutation"
)

// shedMutants are the rules of tasks that a cap has sent to the waiting log.
func shedMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "shed: as many come back as there is room for", By: "^TestShard", Edits: []mutation.Edit{
			{"readahead.go", "slices.Clone(all[:min(most, len(all))])", "slices.Clone(all)"}}},
		{Rule: "shed: they come back in the lane's order", By: "^TestShard", Edits: []mutation.Edit{
			{"readahead.go", "\t\tslices.SortFunc(all, inLaneOrder)\n", ""}}},
		{Rule: "shed: what was let go of and has not ended is asked for again", By: "^TestShard",
			Edits: []mutation.Edit{
				{"takeover.go", "\ts.jobs.refetch()\n", ""}}},
		{Rule: "shed: what has ended is known when it comes again", By: "^TestShard", Edits: []mutation.Edit{
			{"readahead.go", "\t\t\tjs.unreceived[j.id()] = &ended\n", "\t\t\t_ = ended\n"}}},
		{Rule: "shed: what still waits takes its place again", By: "^TestShard", Edits: []mutation.Edit{
			{"readahead.go", "\t\t\tjs.waits.blocked[j.Offset] = w\n", "\t\t\t_ = w\n"}}},
		{Rule: "shed: what waits no more takes nobody's place", By: "^TestShard", Edits: []mutation.Edit{
			{"readahead.go", "w != nil && js.waits.tasks.find(w.identity, w.stamp) == w:", "w != nil:"}}},
	}
}
