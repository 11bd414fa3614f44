//go:build mutants

package journal

import "github.com/aiecs/tasklane/internal/mutation"

// claimMutants are the rules of claims.
func claimMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "claim: it counts before the task may start", Edits: []mutation.Edit{
			{"claiming.go", "\t\ts.claimants[j.Unique.Sum] = []*Job{j}\n\t\ts.deferSoon(j)\n", "\t\ts.queue(j)\n"}}},
		{Rule: "claim: a duplicate is not run", Edits: []mutation.Edit{
			{"claiming.go", "\tcase c != nil:\n", "\tcase false && c != nil:\n"}}},
		{Rule: "claim: one that is on its way is waited for", Edits: []mutation.Edit{
			{"claiming.go", "before != nil {", "before != nil && false {"},
			{"claiming.go", "others := s.claimants[j.Unique.Sum][1:]", "var others []*Job"}}},
		{Rule: "claim: those that waited for it are looked at again", Edits: []mutation.Edit{
			{"claiming.go", "\ts.queue(j)\n\tfor _, other := range others {\n\t\ts.admit(other)\n\t}\n", "\ts.queue(j)\n\t_ = others\n"}}},
		{Rule: "claim: an end that is on its way is waited for", Edits: []mutation.Edit{
			{"claiming.go", "case c != nil && s.unsettled(c):", "case false:"}}},
		{Rule: "claim: those that waited for an end are looked at again", Edits: []mutation.Edit{
			{"claiming.go", "\tfor _, other := range waiting {\n\t\ts.admit(other)\n\t}\n", "\t_ = waiting\n"}}},
		{Rule: "claim: those that waited for an end come again after a doubt", Edits: []mutation.Edit{
			{"claiming.go", "\tclear(s.concluding)\n", ""}}},
		{Rule: "claim: a started task is no duplicate", By: "^TestStarted", Edits: []mutation.Edit{
			{"claiming.go", "j.past.started || ", ""}}},
		{Rule: "claim: the own one is found again", Edits: []mutation.Edit{
			{"claiming.go", "if c.offset == j.Offset && c.taskID == j.Task.TaskID {", "if false {"}}},
		{Rule: "claim: it ends", Edits: []mutation.Edit{
			{"claiming.go", "free || created >= c.until {", "free || created < 0 {"}}},
		{Rule: "claim: an end that is no success frees it", Edits: []mutation.Edit{
			{"takeover.go", "\t\t\tif r.frees() {\n", "\t\t\tif false {\n"}}},
		{Rule: "claim: a success keeps it", Edits: []mutation.Edit{
			{"facts.go", " && r.Status != schemas.Completed", ""}}},
		{Rule: "claim: a free one holds nothing", By: "^TestCommitStays", Edits: []mutation.Edit{
			{"claiming.go", "free || created >= c.until {", "created >= c.until {\n\t\t\t_ = free"}}},
		{Rule: "claim: the position covers the end that frees it", Edits: []mutation.Edit{
			{"progress.go", "\t\tc.reach(at)\n", "\t\t_ = at\n"}}},
		{Rule: "claim: a take-over learns what is free", Edits: []mutation.Edit{
			{"takeover.go", "\ts.learnFreed(r, at)\n", ""}}},
		{Rule: "claim: a tombstone that did not count is written again", Edits: []mutation.Edit{
			{"claiming.go", "\t\t\tcontinue\n\t\t}\n\t\ts.buryClaim(c)\n", "\t\t\tcontinue\n\t\t}\n"}}},
		{Rule: "claim: tombstones before a doubt are not relied on", By: "^TestRetake", Edits: []mutation.Edit{
			{"claiming.go", "\ts.waits.claims.exhume()\n", ""}}},
		{Rule: "claim: those that wait come again after a doubt", Edits: []mutation.Edit{
			{"claiming.go", "\tclear(s.claimants) // those that still wait come again, see resume\n", ""}}},
		{Rule: "claim: it is kept while the lane may hold duplicates", Edits: []mutation.Edit{
			{"sweeping.go", "by := min(s.passedAt, s.port.Now().UnixMilli())", "by := s.port.Now().UnixMilli()"}}},
		{Rule: "claim: a sender's clock that is ahead sweeps nothing", By: "^TestClaimIsSwept", Edits: []mutation.Edit{
			{"sweeping.go", "by := min(s.passedAt, s.port.Now().UnixMilli())", "by := s.passedAt"}}},
		{Rule: "claim: an idle lane outlives it only where it ends", Edits: []mutation.Edit{
			{"sweeping.go", " || s.tracker.prefix < end {", " {"}}},
		{Rule: "claim: a duplicate is decided again after a doubt", By: "^TestRetake", Edits: []mutation.Edit{
			{"outbox.go", "return false // the claim may be free by now, or the job have one", "return true"}}},
		{Rule: "claim: stale ones are buried, and written again", Edits: []mutation.Edit{
			{"waitlog.go", "if e.Wait == nil && e.Claim == nil || len(l.stale) >= maxStale {", "if e.Wait == nil || len(l.stale) >= maxStale {"}}},
		{Rule: "claim: what is being buried is not written again", By: "^TestBuriedClaim", Edits: []mutation.Edit{
			{"waitlog.go", "return c != nil && !c.buried", "return c != nil"}}},
		{Rule: "wait: what is being buried is not written again", By: "^TestBuriedWaiting", Edits: []mutation.Edit{
			{"waitlog.go", "return w != nil && !slices.ContainsFunc(l.outbox, func(p waitPending) bool { return p.ended == w })", "return w != nil"}}},
		{Rule: "claim: they are bounded", Edits: []mutation.Edit{
			{"claiming.go", ">= s.config.MaxClaims:", ">= 1<<30:"}}},
	}
}
