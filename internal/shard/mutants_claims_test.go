//go:build mutants

package shard

import (
	"github.com/aiecs/tasklane/internal/mutation"
)

// claimMutants are the rules of claims.
func claimMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "claim: it counts before the task may start", Edits: []mutation.Edit{
			{"claiming.go", "\t\tjs.waits.claims.claimants[j.Unique.Sum] = []*Job{j}\n\t\tjs.deferSoon(j)\n",
				"\t\tjs.queue(j)\n"}}},
		{Rule: "claim: a duplicate is not run", Edits: []mutation.Edit{
			{"claiming.go", "\tcase c != nil:\n", "\tcase false && c != nil:\n"}}},
		{Rule: "claim: one that is on its way is waited for", Edits: []mutation.Edit{
			{"claiming.go", "before != nil {", "before != nil && false {"},
			{"claiming.go", "others := js.waits.claims.claimants[j.Unique.Sum][1:]", "var others []*Job"}}},
		{Rule: "claim: those that waited for it are looked at again", Edits: []mutation.Edit{
			{"claiming.go", "\tjs.queue(j)\n\tfor _, other := range others {\n\t\tjs.admit(other)\n\t}\n",
				"\tjs.queue(j)\n\t_ = others\n"}}},
		{Rule: "claim: an end that is on its way is waited for", Edits: []mutation.Edit{
			{"claiming.go", "case c != nil && js.waits.claims.concludes(c):", "case false:"}}},
		{Rule: "claim: those that waited for an end are looked at again", Edits: []mutation.Edit{
			{"claiming.go", "\tfor _, other := range waiting {\n\t\tjs.admit(other)\n\t}\n", "\t_ = waiting\n"}}},
		{Rule: "claim: those that waited for an end come again after a doubt", Edits: []mutation.Edit{
			{"waiting_log.go", "\tclear(l.claims.concluding)\n", ""}}},
		{Rule: "claim: a started task is no duplicate", By: "^TestStarted", Edits: []mutation.Edit{
			{"claiming.go", "j.history.started || ", ""}}},
		{Rule: "claim: the own one is found again", Edits: []mutation.Edit{
			{"claiming.go", "if c.offset == j.Offset && c.taskID == j.Task.TaskID {", "if false {"}}},
		{Rule: "claim: it ends", Edits: []mutation.Edit{
			{"claiming.go", "free || created >= c.until {", "free || created < 0 {"}}},
		{Rule: "claim: an end that is no success frees it", Edits: []mutation.Edit{
			{"takeover.go", "\t\t\tif r.frees() {\n", "\t\t\tif false {\n"}}},
		{Rule: "claim: a success keeps it", Edits: []mutation.Edit{
			{"history.go", " &&\n\t\tr.Status != schemas.Completed", ""}}},
		{Rule: "claim: a free one holds nothing", By: "^TestCommitStays", Edits: []mutation.Edit{
			{"claiming.go", "free || created >= c.until {", "created >= c.until {\n\t\t\t_ = free"}}},
		{Rule: "claim: the position covers the end that frees it", Edits: []mutation.Edit{
			{"commit_point.go", "\t\treach(&c, at)\n", "\t\t_ = at\n"}}},
		{Rule: "claim: a take-over learns what is free", Edits: []mutation.Edit{
			{"takeover.go", "\tif r.frees() && len(", "\tif false && len("}}},
		{Rule: "claim: a tombstone that did not count is written again", Edits: []mutation.Edit{
			{"waiting_log.go", "\t\t\tcontinue\n\t\t}\n\t\tl.dropClaim(c)\n", "\t\t\tcontinue\n\t\t}\n"}}},
		{Rule: "claim: tombstones before a doubt are not relied on", By: "^TestRetake", Edits: []mutation.Edit{
			{"waiting_log.go", "\tl.claims.keepAll()\n", ""}}},
		{Rule: "claim: those that wait come again after a doubt", Edits: []mutation.Edit{
			{"waiting_log.go", "\tclear(l.claims.claimants) // those that still wait come again, see resume\n",
				""}}},
		{Rule: "claim: it is kept while the lane may hold duplicates", Edits: []mutation.Edit{
			{"claiming.go", "by := min(js.waits.claims.passedAt, js.port.Now().UnixMilli())",
				"by := js.port.Now().UnixMilli()"}}},
		{Rule: "claim: a sender's clock that is ahead sweeps nothing", By: "^TestClaimIsSwept", Edits: []mutation.Edit{
			{"claiming.go", "by := min(js.waits.claims.passedAt, js.port.Now().UnixMilli())",
				"by := js.waits.claims.passedAt"}}},
		{Rule: "claim: an idle lane outlives it only where it ends", Edits: []mutation.Edit{
			{"claiming.go", "if s.jobs.tracker.prefix < lane.End || cs.measuredAt.IsZero() {",
				"if cs.measuredAt.IsZero() {"}}},
		{Rule: "claim: a duplicate is decided again after a doubt", By: "^TestRetake", Edits: []mutation.Edit{
			{"events.go", "return false // the claim may be free by now, or the job have one", "return true"}}},
		{Rule: "claim: stale ones are buried, and written again", Edits: []mutation.Edit{
			{"waiting_log.go", "if e.Wait == nil && e.Claim == nil || len(l.stale) >= maxStale {",
				"if e.Wait == nil || len(l.stale) >= maxStale {"}}},
		{Rule: "claim: what is being buried is not written again", By: "^TestBuriedClaim", Edits: []mutation.Edit{
			{"waiting_log.go", "return c != nil && !c.dropped", "return c != nil"}}},
		{Rule: "wait: what is being buried is not written again", By: "^TestBuriedWaiting", Edits: []mutation.Edit{
			{"waiting_log.go",
				"return w != nil && !slices.ContainsFunc(l.outbox.live(),\n\t\t\tfunc(p sent[waitWritten]) bool { " +
					"return p.record.ended == w })", "return w != nil"}}},
		{Rule: "claim: they are bounded", Edits: []mutation.Edit{
			{"claiming.go", ">= js.config.MaxClaims:", ">= 1<<30:"}}},
	}
}
