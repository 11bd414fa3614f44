//go:build mutants

package shard

import (
	"github.com/aiecs/tasklane/internal/mutation"
)

// laneMutants are about lanes that lose records.
func laneMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "lane: a commit beyond the end says nothing", Edits: []mutation.Edit{
			{"missing.go", "if c.Offset <= until && s.takeover.asked <= until && (!refused || !s.takeover.reassigned) {",
				"if true {"}}},
		{Rule: "lane: the broker says how far it is the same", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "until := min(logs.Until, logs.Lane.End)", "until := logs.Lane.End"}}},
		{Rule: "lane: it is received again from where it is another", Edits: []mutation.Edit{
			{"missing.go", "\ts.jobs.part(from)\n\ts.port.Rewind(from)\n", "\t_ = from\n"}}},
		{Rule: "lane: one that goes on at an earlier offset is taken over again", Edits: []mutation.Edit{
			{"receive.go", "\t\ts.cut(j.Offset)\n", ""}}},
		{Rule: "lane: a record that comes again is the job that is held", Edits: []mutation.Edit{
			{"missing.go", "\treturn known\n", "\treturn j\n"}}},
		{Rule: "lane: what has ended is known when its record comes again", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "\t\t\tjs.unreceived[j.id()] = &ended\n", "\t\t\t_ = ended\n"}}},
		{Rule: "lane: a started task that is gone is ended", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "\t\tjs.endMissing(j)\n", "\t\tdelete(js.missing.jobs, id.task)\n"}}},
		{Rule: "lane: no commit leaves a task behind that is gone", Edits: []mutation.Edit{
			{"commit_point.go", "if s.jobs.missing.unpassed(s.jobs.tracker.prefix) {", "if false {"}}},
		{Rule: "lane: its bounds are asked for after the take-over", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "\ts.jobs.missing.askedAt = time.Time{}\n\ts.jobs.lookForMissing(now)\n", ""}}},
		{Rule: "lane: a task that something else stands for is not ended", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "case p.deferred || p.told == nil || js.spokenFor(id):", "case p.deferred || p.told == nil:"}}},
		{Rule: "lane: what took the place of a record that is gone goes on", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "if w := js.waits.tasks.byIdentity[id.task]; w != nil {",
				"if w := js.waits.tasks.byIdentity[id.task]; false {"}}},
		{Rule: "lane: what was started and skipped is ended", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go",
				"r.Source.Offset < js.commit.Offset && !js.commit.Foreign() && r.wait == " +
					"(fold.State{})", "r.Source.Offset < js.commit.Offset && r.wait == (fold.State{})"}}},
		{Rule: "journal: a task whose end it has lost goes on", By: "^TestNothingIsStuck", Edits: []mutation.Edit{
			{"reconcile.go", "\t\tjs.revive(j)\n", "\t\t_ = js.revive\n"}}},
		{Rule: "journal: a task all of which it has lost is begun anew", By: "^TestShardGoesOn", Edits: []mutation.Edit{
			{"reconcile.go", "if !j.finished() && (j.stage != stageEnding || j.inFlight > 0) {", "if !j.finished() {"}}},
		{Rule: "lane: an offset that was refused is refused again", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", "refused := c.Foreign() && c.Offset == s.takeover.refused", "refused := false"}}},
		{Rule: "lane: it is rewound again when it was assigned again", By: "^TestShard", Edits: []mutation.Edit{
			{"missing.go", " && (!refused || !s.takeover.reassigned) {", " {"}}},
	}
}
