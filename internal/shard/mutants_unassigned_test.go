//go:build mutants

package shard

import (
	"github.com/aiecs/tasklane/internal/mutation"
)

// unassignedMutants are the rules of a shard that the group has lost.
func unassignedMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "unassigned: nothing begins", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"shard.go", "case s.phase != phaseRunning || s.jobs.unassigned:\n\t\ts.jobs.move",
				"case s.phase != phaseRunning:\n\t\ts.jobs.move"},
			{"unassigned.go", "\t\t\ts.jobs.move(j, stepRecall)\n", "\t\t\t_ = j\n"}}},
		{Rule: "unassigned: nothing starts", Edits: []mutation.Edit{
			{"jobs.go", "if j.stage != stageStarting || js.unassigned {", "if j.stage != stageStarting {"}}},
		{Rule: "unassigned: nothing is offered", Edits: []mutation.Edit{
			{"receive.go", "\tif js.unassigned { // see resume\n", "\tif false {\n"}}},
		{Rule: "unassigned: what was offered is offered again", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"unassigned.go", "\t\t\ts.jobs.move(j, stepRecall)\n", "\t\t\t_ = j\n"}}},
		{Rule: "unassigned: the group has the word", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"shard.go", "if !s.jobs.unassigned && !now.Before(s.doubts.until) {", "if !now.Before(s.doubts.until) {"}}},
		{Rule: "unassigned: nothing is committed", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"commit_point.go", "s.jobs.unassigned || s.jobs.waits.torn {", "s.jobs.waits.torn {"}}},
		{Rule: "unassigned: a foreign fence ends it", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"takeover.go", "\tif s.jobs.unassigned { // by the group's word", "\tif false { // by the group's word"}}},
		{Rule: "unassigned: a foreign fence ends it in doubt", Edits: []mutation.Edit{
			{"takeover.go", "\t\ts.checkForeign()\n", ""}}},
		{Rule: "unassigned: a foreign fence of before the loss ends it", By: "^TestShardUnassigned",
			Edits: []mutation.Edit{
				{"unassigned.go", "\t\ts.checkForeign()\n", ""}}},
		{Rule: "unassigned: a foreign commit ends it", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"takeover.go", "max(c.Own, c.Before.Epoch) > s.takeover.done\n", "false\n"}}},
		{Rule: "unassigned: what came during a doubt is looked at", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"unassigned.go", "\t\ts.port.Follow(s.jobs.journal.next)\n", ""}}},
		{Rule: "unassigned: its own fence is no other's", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"takeover.go", "e.Stamp.Epoch > s.takeover.done && !s.wrote(e)", "e.Stamp.Epoch > s.takeover.done"}}},
		{Rule: "unassigned: the work goes on", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"unassigned.go", "if s.phase == phaseForgotten || s.phase == phaseContested || s.takeover.done == 0 {",
				"if true {"}}},
		{Rule: "unassigned: the own work is no lost attempt", Edits: []mutation.Edit{
			{"reconcile.go", "\tcase !j.current():\n\t\tjs.postRunning(j)\n",
				"\tcase j.stage == stageRunning || !j.current():\n\t\tjs.postRunning(j)\n"}}},
		{Rule: "unassigned: what is delivered again is known", By: "^TestShardUnassigned", Edits: []mutation.Edit{
			{"takeover.go", "\t\ts.jobs.tracker.received = 0 // the lane", "\t\t// the lane"}}},
		{Rule: "unassigned: a shard that was given up goes back to the commit", By: "^TestShardAstray",
			Edits: []mutation.Edit{
				{"takeover.go", "\tif s.takeover.astray {\n", "\tif false {\n"}}},
		{Rule: "yield: others at work are waited for", By: "^TestShardYields", Edits: []mutation.Edit{
			{"takeover.go", " && !s.yields(s.port.Now()) {", " {"}}},
		{Rule: "yield: others that were heard are waited for", By: "^TestShardYields", Edits: []mutation.Edit{
			{"unassigned.go", "if !lately && s.heardLately(now) {", "if false {"}}},
		{Rule: "yield: those that are not the owner are not waited for", By: "^TestShardYields", Edits: []mutation.Edit{
			{"unassigned.go", " && (lately || p.runner == alive) {", " {"}}},
		{Rule: "yield: not for ever", By: "^TestShardYields", Edits: []mutation.Edit{
			{"shard.go", "\t\ts.readOn()\n", ""}}},
	}
}
