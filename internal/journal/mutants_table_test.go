//go:build mutants

package journal

import (
	"slices"

	"github.com/aiecs/tasklane/internal/mutation"
)

// mutants are the rules, each with the edit that takes it out.
func mutants() []mutation.Mutant {
	return slices.Concat(foldMutants(), takeOverMutants(), retakeMutants(), runMutants(), commitMutants(), waitMutants(), claimMutants())
}

func foldMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "fold: a lower epoch is dropped", Edits: []mutation.Edit{{"fold.go", "case epoch < s.Epoch:", "case epoch < 0:"}}},
		{Rule: "fold: a repeated seq is dropped", Edits: []mutation.Edit{{"fold.go", "epoch == s.Epoch && seq <= s.Seq:", "epoch == s.Epoch && seq < 0:"}}},
	}
}

func takeOverMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "take-over: read on to the own fence", Edits: []mutation.Edit{
			{"takeover.go", "return s.fenceAt >= 0 && s.next > s.fenceAt }", "return s.fenceAt >= 0 }"},
			{"takeover.go", "	if !s.raised() || !s.waits.raised() {\n", "	if s.next <= s.fenceAt {\n\t\ts.fold, s.next = s.own, s.fenceAt+1\n\t\ts.run()\n\t\treturn\n\t}\n\tif !s.raised() || !s.waits.raised() {\n"},
		}},
		{Rule: "take-over: the own fence raised the epoch", Edits: []mutation.Edit{
			{"takeover.go", "return s.fold.Epoch == s.own.Epoch && s.raisedAt == s.fenceAt }", "return s.fold.Epoch == s.own.Epoch }"}}},
		{Rule: "take-over: nothing above the own fence counts", Edits: []mutation.Edit{
			{"takeover.go", "return s.fold.Epoch == s.own.Epoch && s.raisedAt == s.fenceAt }", "return true }"}}},
		{Rule: "take-over: epoch above what is known", Edits: []mutation.Edit{
			{"takeover.go", "Epoch: max(s.known+1, now.UnixMilli())", "Epoch: max(s.own.Epoch+1, now.UnixMilli())"}}},
		{Rule: "take-over: epoch known from the journal", Edits: []mutation.Edit{
			{"takeover.go", "\ts.known = max(s.known, e.Stamp.Epoch)\n", ""}}},
		{Rule: "take-over: the whole journal is read before fencing", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "if s.phase == phaseReading && s.next >= s.readEnd && ", "if s.phase == phaseReading && "}}},
		{Rule: "take-over: the fold starts from the commit's state", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "s.fold, s.foldFrom = c.Before, c.Position", "s.fold, s.foldFrom = State{}, c.Position"}}},
		// The owner learns nothing wrong without it: what was repeated from before
		// the position is about offsets below the commit. Readers that resume from
		// a commit need it.
		{Rule: "take-over: the fold starts from the commit's seq too", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "s.fold, s.foldFrom = c.Before, c.Position", "s.fold, s.foldFrom = State{Epoch: c.Before.Epoch}, c.Position"}}},
		{Rule: "take-over: the window is read again", Edits: []mutation.Edit{
			{"takeover.go", "s.next = min(max(c.Window, journal.Start), s.foldFrom)", "s.next = s.foldFrom"}}},
		{Rule: "take-over: what is below the commit is remembered", Edits: []mutation.Edit{
			{"takeover.go", "\t\ts.remember(r, identity, e.Offset)\n", ""}}},
	}
}

func retakeMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "retake: local state is replaced by the fold", Edits: []mutation.Edit{
			{"takeover.go", "\tj.past = past{}\n\ts.recollect(j)\n", "\tdelete(s.history, j.id())\n"}}},
		{Rule: "retake: what counted is not written again", Edits: []mutation.Edit{
			{"takeover.go", "if p.counted || p.job == nil || p.job.finished {", "if p.job == nil || p.job.finished {"}}},
		{Rule: "retake: what did not count is written again", Edits: []mutation.Edit{
			{"takeover.go", "\t\tp.event.Attempt = p.job.Attempt\n\t\ts.post(p.job, p.event)\n", ""}}},
		// The worlds come to this too, but seldom.
		{Rule: "retake: a conviction is looked at again", By: "^TestShardRetake", Edits: []mutation.Edit{
			{"takeover.go", "if !p.stands() {", "if false {"}}},
		{Rule: "retake: work goes on under a new attempt", Edits: []mutation.Edit{
			{"takeover.go", "\tcase !j.current():\n\t\ts.postRunning(j)\n", ""}}},
		{Rule: "retake: a foreign attempt of the same number is not the own", By: "^TestShard", Edits: []mutation.Edit{
			{"job.go", "return j.begun && j.past.ran == j.ran", "return j.begun && j.past.running > 0 && j.past.attempts == j.Attempt"}}},
		{Rule: "retake: jobs that could not begin are offered again", Edits: []mutation.Edit{
			{"takeover.go", "case j.stage == stageQueued && !j.offered:", "case false:"}}},
		{Rule: "contest: the coordinator is asked", Edits: []mutation.Edit{
			{"takeover.go", "\ts.port.Confirm()\n", "\ts.retake()\n"}}},
		{Rule: "contest: the coordinator's word is obeyed", Edits: []mutation.Edit{
			{"takeover.go", "if !accepted {", "if false {"}}},
		{Rule: "doubt: a failed append", Edits: []mutation.Edit{
			{"shard.go", "\t\ts.doubt(\"append failed\", \"error\", err)\n", ""}}},
		{Rule: "doubt: a foreign record that counts", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "case e.Stamp.Epoch != s.own.Epoch:", "case false:"},
			{"takeover.go", "if p := s.outbox.first(); p == nil || p.at != s.fold {", "if p := s.outbox.first(); e2(p, s) {\n\t\treturn\n\t}\n\tif p := s.outbox.first(); p == nil || p.at != s.fold {"},
			{"takeover.go", "// observe notes", "func e2(p *pending, s *Shard) bool { return s.fold.Epoch != s.own.Epoch || p == nil }\n\n// observe notes"},
		}},
		{Rule: "doubt: a gap in the own seq", Edits: []mutation.Edit{
			{"takeover.go", "case verdict == CountsAfterGap:", "case false:"},
			{"takeover.go", "if p := s.outbox.first(); p == nil || p.at != s.fold {", "for p := s.outbox.first(); p != nil && p.at.compare(s.fold) < 0; p = s.outbox.first() {\n\t\ts.outbox.pop()\n\t}\n\tif p := s.outbox.first(); p == nil || p.at != s.fold {"},
		}},
		// Within the log's promises another rule always comes first: an own record
		// does not count because of a higher epoch (contest) or because a later
		// own one did (gap). It is there for a log that loses what it
		// acknowledged, which the worlds do not.
		{Rule: "doubt: acknowledged, read past, not counted", By: "^TestShardDoubts", Edits: []mutation.Edit{
			{"shard.go", "p != nil && p.offset >= 0 && p.offset < s.next {", "false && p != nil {"}}},
	}
}

func runMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "run: `running` is acknowledged before work starts", Edits: []mutation.Edit{
			{"shard.go", "\ts.postRunning(j)\n\treturn true\n", "\ts.postRunning(j)\n\ts.start(j)\n\treturn true\n"}}},
		{Rule: "run: `running` that was read past starts nothing", By: "^TestShard", Edits: []mutation.Edit{
			{"shard.go", "if p.running() && offset >= s.next {", "if p.running() {"}}},
		{Rule: "run: lost attempts are limited", Edits: []mutation.Edit{
			{"receive.go", "case j.convicted():", "case false:"}}},
		// The worlds come to this too, but seldom.
		{Rule: "run: lost attempts are limited after a doubt", By: "^TestShardRetake", Edits: []mutation.Edit{
			{"takeover.go", "case j.stage == stageQueued && j.convicted():", "case false:"}}},
		{Rule: "run: a clean hand-over is no lost attempt", Edits: []mutation.Edit{
			{"job.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running"}}},
		{Rule: "run: hand-overs are limited", By: "^TestPast", Edits: []mutation.Edit{
			{"job.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running - p.handed"}}},
		{Rule: "run: a repeated task is not run", Edits: []mutation.Edit{
			{"receive.go", "case s.repeated(j) && !j.past.started:", "case false:"}}},
		// The worlds come to this too, but seldom.
		{Rule: "run: a task that was started is no repeat", By: "^TestShardRuns", Edits: []mutation.Edit{
			{"receive.go", "case s.repeated(j) && !j.past.started:", "case s.repeated(j):"}}},
		{Rule: "run: tracked tasks are recognised", Edits: []mutation.Edit{
			{"receive.go", "\ts.window.see(j.Identity, j.Offset)\n\treturn false\n", "\treturn false\n"}}},
		{Rule: "run: finished tasks are recognised", Edits: []mutation.Edit{
			{"window.go", "if w.limit == 0 {", "if true {"}}},
		{Rule: "run: what has ended is not run again", Edits: []mutation.Edit{
			{"receive.go", "\tcase j.past.over():\n\t\tj.finished = true\n\t\ts.unblock(j)\n", ""}}},
		{Rule: "run: a job is ended from outside only once it is known", Edits: []mutation.Edit{
			{"job.go", "!j.finished && (j.stage == stageQueued ||", "!j.finished && (j.stage == stageReceived || j.stage == stageBurying || j.stage == stageQueued ||"}}},
		{Rule: "run: a forgotten shard writes nothing", By: "^TestShard", Edits: []mutation.Edit{
			{"shard.go", "if s.phase == phaseForgotten || !j.endable() {", "if !j.endable() {"},
			{"shard.go", "\tif s.phase != phaseRunning {\n\t\ts.outbox.add(pending{job: j, event: e, offset: -1})\n\t\treturn\n\t}\n", ""}}},
		{Rule: "run: a dead letter is acknowledged before its end is written", Edits: []mutation.Edit{
			{"receive.go", "\tj.stage = stageBurying\n\ts.port.Bury(j)\n", "\tj.stage = stageBurying\n\ts.Buried(j)\n"}}},
		{Rule: "run: another lane's past is not the job's", By: "^TestShard", Edits: []mutation.Edit{
			{"receive.go", "p != nil && p.identity == j.Identity && j.identified()", "p != nil"}}},
	}
}

func commitMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "commit: count before commit", Edits: []mutation.Edit{
			{"shard.go", "\tp.offset = offset\n", "\tp.offset = offset\n\tif p.event != nil && factsOf(p.event).ends() {\n\t\tp.job.finished = true\n\t\ts.advance()\n\t}\n"}}},
		{Rule: "commit: only while running", By: "^TestShard", Edits: []mutation.Edit{
			{"progress.go", "if s.phase != phaseRunning || s.waits.torn {", "if s.phase == phaseNew {"}}},
		{Rule: "commit: the position includes held jobs", Edits: []mutation.Edit{
			{"progress.go", "\t\tc.include(&j.past)\n", "\t\t_ = j\n"}}},
		{Rule: "commit: the position includes events of earlier epochs", Edits: []mutation.Edit{
			{"progress.go", "\tif p.started {\n", "\tif p.started && p.first.after.Epoch == c.Own {\n"}}},
		{Rule: "commit: the position includes what was not received yet", Edits: []mutation.Edit{
			{"progress.go", "\t\tc.include(p)\n", "\t\t_ = p\n"}}},
		{Rule: "commit: the position is not beyond what was read", Edits: []mutation.Edit{
			{"progress.go", "Position: s.next, Before: s.fold", "Position: s.next + int64(s.outbox.len()), Before: State{Epoch: s.own.Epoch, Seq: s.own.Seq}"}}},
		{Rule: "commit: the state is the one before the position", Edits: []mutation.Edit{
			{"progress.go", "c.Position, c.Before = at.offset, at.before", "c.Position, c.Before = at.offset, at.after"}}},
		{Rule: "commit: the prefix stops at unfinished jobs", Edits: []mutation.Edit{
			{"tracker.go", "for t.len() > 0 && t.jobs[t.head].finished {", "for t.len() > 0 && (t.jobs[t.head].finished || t.jobs[len(t.jobs)-1].finished) {"}}},
		{Rule: "commit: the window starts at the oldest remembered end", Edits: []mutation.Edit{
			{"progress.go", "c.Window = s.window.start(c.Position)", "c.Window = c.Position"}}},
		{Rule: "commit: the prefix never falls", By: "^TestTracker", Edits: []mutation.Edit{
			{"tracker.go", "t.prefix = max(t.prefix, j.Offset+1)", "t.prefix = j.Offset + 1"}}},
		{Rule: "commit: passed tasks stay recognised after a doubt", Edits: []mutation.Edit{
			{"progress.go", "\t\ts.window.end(task)\n", "\t\t_ = task\n"}}},
	}
}

// waitMutants are the rules of the waiting log.
func waitMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "wait: the waiting log is fenced too", Edits: []mutation.Edit{
			{"waitlog.go", "return l.fenceAt >= 0 && l.next > l.fenceAt }", "return true }"},
			{"waitlog.go", "return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }", "return true }"}}},
		// Without it nothing counts wrongly: a higher epoch's records are contested,
		// and own ones that do not count are doubted. But the owner would fence over
		// the other one without having asked.
		{Rule: "wait: its own fence raised its epoch", By: "^TestShardAsks", Edits: []mutation.Edit{
			{"waitlog.go", "return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }", "return true }"}}},
		{Rule: "wait: a superseded owner's record does not count", Edits: []mutation.Edit{
			{"waitfollow.go", "\tif !verdict.Counted() {\n\t\tl.discard(e)", "\tif false {\n\t\tl.discard(e)"}}},
		{Rule: "wait: the record counts before the event says so", Edits: []mutation.Edit{
			{"postpone.go", "\ts.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, j.Task, at), Job: j, Wait: wait})\n",
				"\ts.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, j.Task, at), Job: j, Wait: wait})\n\ts.post(j, s.waitEvent(j, j.postponed, true))\n"}}},
		{Rule: "wait: `running` counts before the record is written", By: "^TestWaitingRecord", Edits: []mutation.Edit{
			{"postpone.go", " && s.defers(j) && j.inFlight == 0 && (!j.begun || j.current()) {", " && s.defers(j) {"}}},
		{Rule: "wait: the job is finished when the event has counted", Edits: []mutation.Edit{
			{"postpone.go", "\ts.post(j, s.waitEvent(j, p, true))\n", "\ts.post(j, s.waitEvent(j, p, true))\n\tj.finished = true\n\ts.settleWaiter(w)\n"}}},
		{Rule: "wait: the record carries what happened before", Edits: []mutation.Edit{
			{"postpone.go", "Attempts: p.attempts, Started: p.running,", "Started: p.running,"}}},
		{Rule: "wait: a tombstone only after the end has counted", Edits: []mutation.Edit{
			{"postpone.go", "\tj.slot = len(s.active)\n\ts.active = append(s.active, j)\n\tw.job, w.payload = j, nil\n", "\tj.slot = len(s.active)\n\ts.active = append(s.active, j)\n\tw.job, w.payload = j, nil\n\tif s.phase == phaseRunning {\n\t\ts.bury(w)\n\t}\n"}}},
		{Rule: "wait: the position covers started waiting tasks", Edits: []mutation.Edit{
			{"progress.go", "\t\tc.include(&j.past) // until its tombstone counts: otherwise it would rise again\n", "\t\t_ = j\n"}}},
		{Rule: "wait: a take-over knows what was started", Edits: []mutation.Edit{
			{"waitfollow.go", "\tcase w != nil && w.job == nil:\n\t\t\ts.recallWait(w)\n", "\tcase w != nil && w.job == nil:\n"}}},
		{Rule: "wait: a lane record that was replaced is not run", Edits: []mutation.Edit{
			{"receive.go", "case s.blocked[j.Offset] != nil && s.unblock(j):", "case false:"}}},
		{Rule: "wait: what was replaced is told again after a doubt", Edits: []mutation.Edit{
			{"waitfollow.go", "\t\t\tj.successor = nil\n\t\t\ts.replace(j, w)\n", "\t\t\t_ = w\n"}}},
		// The worlds come to this too, but seldom.
		{Rule: "wait: an end is dropped if another owner let the task wait", By: "^TestRetakeDrops", Edits: []mutation.Edit{
			{"takeover.go", "if p.event.Deferred || p.job.successor != nil {", "if p.event.Deferred {"}}},
		{Rule: "wait: a record that stands twice is written again", By: "^TestRecordThat", Edits: []mutation.Edit{
			{"waitlog.go", "case e.Stamp.Epoch < l.fold.Epoch || e.Stamp.Seq < l.fold.Seq:", "case e.Stamp.Epoch < l.fold.Epoch:"}}},
		{Rule: "wait: a hold that ended unseen is found", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"postpone.go", "if w.held() && !s.port.Holds(w.hold.Value()) {", "if false {"}}},
		{Rule: "wait: what nothing holds goes on", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"waiting.go", "\t\tif !stays {\n", "\t\tif false {\n"}}},
		{Rule: "wait: what is held stays", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"waiting.go", "stays = holds(w.hold.Value())", "stays = false"}}},
		{Rule: "wait: what cannot be read is read again", Edits: []mutation.Edit{
			{"tick.go", "		if s.waits.torn {\n", "		if false {\n"}}},
		{Rule: "wait: a job that runs is not found a second time", Edits: []mutation.Edit{
			{"takeover.go", "\t\tw.job, w.settled, j.waiter = j, true, w\n", ""}}},
		{Rule: "wait: what waited and has ended is recognised", By: "^TestTask", Edits: []mutation.Edit{
			{"window.go", "if !w.seen[t.identity].ended {", "if true {"}}},
		{Rule: "wait: what another owner buried is recognised", By: "^TestTask", Edits: []mutation.Edit{
			{"takeover.go", "\t\ts.remind(j)\n", ""}}},
		{Rule: "wait: what expires first may not begin", By: "^TestWaitingTask", Edits: []mutation.Edit{
			{"waiting.go", "\tcase w.expires:\n\t\treturn time.UnixMilli(never)\n", ""}}},
		{Rule: "wait: stale records are buried", Edits: []mutation.Edit{
			{"waitfollow.go", "\tstale := s.waits.stale\n", "\tvar stale []staleWait\n"}}},
		{Rule: "retry: queued again once the attempt is closed", Edits: []mutation.Edit{
			{"postpone.go", "if j.stage != stageRetrying || j.past.open || j.inFlight > 0 {", "if true {"}}},
		{Rule: "retry: a failed attempt is not a lost one", Edits: []mutation.Edit{
			{"job.go", "\t\tnow.End = endedFailed\n\t\tp.failed++\n", "\t\tnow.End = endedFailed\n"}}},
	}
}
