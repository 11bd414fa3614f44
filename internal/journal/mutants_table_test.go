//go:build mutants

package journal

import "slices"

// mutants are the rules, each with the edit that takes it out.
func mutants() []mutant {
	return slices.Concat(foldMutants(), takeOverMutants(), retakeMutants(), runMutants(), commitMutants(), waitMutants())
}

func foldMutants() []mutant {
	return []mutant{
		{rule: "fold: a lower epoch is dropped", edits: []edit{{"fold.go", "case epoch < s.Epoch:", "case epoch < 0:"}}},
		{rule: "fold: a repeated seq is dropped", edits: []edit{{"fold.go", "epoch == s.Epoch && seq <= s.Seq:", "epoch == s.Epoch && seq < 0:"}}},
	}
}

func takeOverMutants() []mutant {
	return []mutant{
		{rule: "take-over: read on to the own fence", edits: []edit{
			{"takeover.go", "s.fenceAt < 0 || s.next <= s.fenceAt ||", "s.fenceAt < 0 ||"},
			{"takeover.go", "	if !s.raised() || !s.waits.raised() {\n", "	if s.next <= s.fenceAt {\n\t\ts.fold, s.next = s.own, s.fenceAt+1\n\t\ts.run()\n\t\treturn\n\t}\n\tif !s.raised() || !s.waits.raised() {\n"},
		}},
		{rule: "take-over: the own fence raised the epoch", edits: []edit{
			{"takeover.go", "return s.fold.Epoch == s.own.Epoch && s.raisedAt == s.fenceAt }", "return s.fold.Epoch == s.own.Epoch }"}}},
		{rule: "take-over: nothing above the own fence counts", edits: []edit{
			{"takeover.go", "return s.fold.Epoch == s.own.Epoch && s.raisedAt == s.fenceAt }", "return true }"}}},
		{rule: "take-over: epoch above what is known", edits: []edit{
			{"takeover.go", "Epoch: max(s.known+1, now.UnixMilli())", "Epoch: max(s.own.Epoch+1, now.UnixMilli())"}}},
		{rule: "take-over: epoch known from the journal", edits: []edit{
			{"takeover.go", "\ts.known = max(s.known, e.Stamp.Epoch)\n", ""}}},
		{rule: "take-over: the whole journal is read before fencing", by: "^TestShard", edits: []edit{
			{"takeover.go", "if s.phase == phaseReading && s.next >= s.readEnd && ", "if s.phase == phaseReading && "}}},
		{rule: "take-over: the fold starts from the commit's state", by: "^TestShard", edits: []edit{
			{"takeover.go", "s.fold, s.foldFrom = c.Before, c.Position", "s.fold, s.foldFrom = State{}, c.Position"}}},
		// The owner learns nothing wrong without it: what was repeated from before
		// the position is about offsets below the commit. Readers that resume from
		// a commit need it.
		{rule: "take-over: the fold starts from the commit's seq too", by: "^TestShard", edits: []edit{
			{"takeover.go", "s.fold, s.foldFrom = c.Before, c.Position", "s.fold, s.foldFrom = State{Epoch: c.Before.Epoch}, c.Position"}}},
		{rule: "take-over: the window is read again", edits: []edit{
			{"takeover.go", "s.next = min(max(c.Window, journal.Start), s.foldFrom)", "s.next = s.foldFrom"}}},
		{rule: "take-over: what is below the commit is remembered", edits: []edit{
			{"takeover.go", "\t\ts.remember(r, identity, e.Offset)\n", ""}}},
	}
}

func retakeMutants() []mutant {
	return []mutant{
		{rule: "retake: local state is replaced by the fold", edits: []edit{
			{"takeover.go", "\tj.past = past{}\n\ts.recollect(j)\n", "\tdelete(s.history, j.id())\n"}}},
		{rule: "retake: what counted is not written again", edits: []edit{
			{"takeover.go", "if p.counted || p.job == nil || p.job.finished {", "if p.job == nil || p.job.finished {"}}},
		{rule: "retake: what did not count is written again", edits: []edit{
			{"takeover.go", "\t\tp.event.Attempt = p.job.Attempt\n\t\ts.post(p.job, p.event)\n", ""}}},
		// The worlds come to this too, but seldom.
		{rule: "retake: a conviction is looked at again", by: "^TestShardRetake", edits: []edit{
			{"takeover.go", "if !p.stands() {", "if false {"}}},
		{rule: "retake: work goes on under a new attempt", edits: []edit{
			{"takeover.go", "\tcase !j.current():\n\t\ts.postRunning(j)\n", ""}}},
		{rule: "retake: a foreign attempt of the same number is not the own", by: "^TestShard", edits: []edit{
			{"job.go", "return j.begun && j.past.ran == j.ran", "return j.begun && j.past.running > 0 && j.past.attempts == j.Attempt"}}},
		{rule: "retake: jobs that could not begin are offered again", edits: []edit{
			{"takeover.go", "case j.stage == stageQueued && !j.offered:", "case false:"}}},
		{rule: "contest: the coordinator is asked", edits: []edit{
			{"takeover.go", "\ts.port.Confirm()\n", "\ts.retake()\n"}}},
		{rule: "contest: the coordinator's word is obeyed", edits: []edit{
			{"takeover.go", "if !accepted {", "if false {"}}},
		{rule: "doubt: a failed append", edits: []edit{
			{"shard.go", "\t\ts.doubt(\"append failed\", \"error\", err)\n", ""}}},
		{rule: "doubt: a foreign record that counts", by: "^TestShard", edits: []edit{
			{"takeover.go", "case e.Stamp.Epoch != s.own.Epoch:", "case false:"},
			{"takeover.go", "if p := s.outbox.first(); p == nil || p.at != s.fold {", "if p := s.outbox.first(); e2(p, s) {\n\t\treturn\n\t}\n\tif p := s.outbox.first(); p == nil || p.at != s.fold {"},
			{"takeover.go", "// observe notes", "func e2(p *pending, s *Shard) bool { return s.fold.Epoch != s.own.Epoch || p == nil }\n\n// observe notes"},
		}},
		{rule: "doubt: a gap in the own seq", edits: []edit{
			{"takeover.go", "case verdict == CountsAfterGap:", "case false:"},
			{"takeover.go", "if p := s.outbox.first(); p == nil || p.at != s.fold {", "for p := s.outbox.first(); p != nil && p.at.compare(s.fold) < 0; p = s.outbox.first() {\n\t\ts.outbox.pop()\n\t}\n\tif p := s.outbox.first(); p == nil || p.at != s.fold {"},
		}},
		// Within the log's promises another rule always comes first: an own record
		// does not count because of a higher epoch (contest) or because a later
		// own one did (gap). It is there for a log that loses what it
		// acknowledged, which the worlds do not.
		{rule: "doubt: acknowledged, read past, not counted", by: "^TestShardDoubts", edits: []edit{
			{"shard.go", "p != nil && p.offset >= 0 && p.offset < s.next {", "false && p != nil {"}}},
	}
}

func runMutants() []mutant {
	return []mutant{
		{rule: "run: `running` is acknowledged before work starts", edits: []edit{
			{"shard.go", "\ts.postRunning(j)\n\treturn true\n", "\ts.postRunning(j)\n\ts.start(j)\n\treturn true\n"}}},
		{rule: "run: `running` that was read past starts nothing", by: "^TestShard", edits: []edit{
			{"shard.go", "if p.running() && offset >= s.next {", "if p.running() {"}}},
		{rule: "run: lost attempts are limited", edits: []edit{
			{"shard.go", "case j.convicted():", "case false:"}}},
		// The worlds come to this too, but seldom.
		{rule: "run: lost attempts are limited after a doubt", by: "^TestShardRetake", edits: []edit{
			{"takeover.go", "case j.stage == stageQueued && j.convicted():", "case false:"}}},
		{rule: "run: a clean hand-over is no lost attempt", edits: []edit{
			{"job.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running"}}},
		{rule: "run: hand-overs are limited", by: "^TestPast", edits: []edit{
			{"job.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running - p.handed"}}},
		{rule: "run: a repeated task is not run", edits: []edit{
			{"shard.go", "case s.repeated(j) && !j.past.started:", "case false:"}}},
		// The worlds come to this too, but seldom.
		{rule: "run: a task that was started is no repeat", by: "^TestShardRuns", edits: []edit{
			{"shard.go", "case s.repeated(j) && !j.past.started:", "case s.repeated(j):"}}},
		{rule: "run: tracked tasks are recognised", edits: []edit{
			{"shard.go", "\ts.window.see(j.Identity, j.Offset)\n\treturn false\n", "\treturn false\n"}}},
		{rule: "run: finished tasks are recognised", edits: []edit{
			{"window.go", "if w.limit == 0 {", "if true {"}}},
		{rule: "run: what has ended is not run again", edits: []edit{
			{"shard.go", "\tcase j.past.over():\n\t\tj.finished = true\n\t\ts.unblock(j)\n", ""}}},
		{rule: "run: a job is ended from outside only once it is known", edits: []edit{
			{"job.go", "!j.finished && (j.stage == stageQueued ||", "!j.finished && (j.stage == stageReceived || j.stage == stageBurying || j.stage == stageQueued ||"}}},
		{rule: "run: a forgotten shard writes nothing", by: "^TestShard", edits: []edit{
			{"shard.go", "if s.phase == phaseForgotten || !j.endable() {", "if !j.endable() {"},
			{"shard.go", "\tif s.phase != phaseRunning {\n\t\ts.outbox.add(pending{job: j, event: e, offset: -1})\n\t\treturn\n\t}\n", ""}}},
		{rule: "run: a dead letter is acknowledged before its end is written", edits: []edit{
			{"shard.go", "\tj.stage = stageBurying\n\ts.port.Bury(j)\n", "\tj.stage = stageBurying\n\ts.Buried(j)\n"}}},
		{rule: "run: another lane's past is not the job's", by: "^TestShard", edits: []edit{
			{"shard.go", "p != nil && p.identity == j.Identity && j.identified()", "p != nil"}}},
	}
}

func commitMutants() []mutant {
	return []mutant{
		{rule: "commit: count before commit", edits: []edit{
			{"shard.go", "\tp.offset = offset\n", "\tp.offset = offset\n\tif p.event != nil && factsOf(p.event).ends() {\n\t\tp.job.finished = true\n\t\ts.advance()\n\t}\n"}}},
		{rule: "commit: only while running", by: "^TestShard", edits: []edit{
			{"progress.go", "if s.phase != phaseRunning || s.waits.torn {", "if s.phase == phaseNew {"}}},
		{rule: "commit: the position includes held jobs", edits: []edit{
			{"progress.go", "\t\tc.include(&j.past)\n", "\t\t_ = j\n"}}},
		{rule: "commit: the position includes events of earlier epochs", edits: []edit{
			{"progress.go", "if p.started && p.first.offset < c.Position {", "if p.started && p.first.after.Epoch == c.Own && p.first.offset < c.Position {"}}},
		{rule: "commit: the position includes what was not received yet", edits: []edit{
			{"progress.go", "\t\tc.include(p)\n", "\t\t_ = p\n"}}},
		{rule: "commit: the position is not beyond what was read", edits: []edit{
			{"progress.go", "Position: s.next, Before: s.fold", "Position: s.next + int64(s.outbox.len()), Before: State{Epoch: s.own.Epoch, Seq: s.own.Seq}"}}},
		{rule: "commit: the state is the one before the position", edits: []edit{
			{"progress.go", "c.Position, c.Before = p.first.offset, p.first.before", "c.Position, c.Before = p.first.offset, p.first.after"}}},
		{rule: "commit: the prefix stops at unfinished jobs", edits: []edit{
			{"tracker.go", "for t.len() > 0 && t.jobs[t.head].finished {", "for t.len() > 0 && (t.jobs[t.head].finished || t.jobs[len(t.jobs)-1].finished) {"}}},
		{rule: "commit: the window starts at the oldest remembered end", edits: []edit{
			{"progress.go", "c.Window = s.window.start(c.Position)", "c.Window = c.Position"}}},
		{rule: "commit: the prefix never falls", by: "^TestTracker", edits: []edit{
			{"tracker.go", "t.prefix = max(t.prefix, j.Offset+1)", "t.prefix = j.Offset + 1"}}},
		{rule: "commit: passed tasks stay recognised after a doubt", edits: []edit{
			{"progress.go", "\t\ts.window.end(task)\n", "\t\t_ = task\n"}}},
	}
}

// waitMutants are the rules of the waiting log.
func waitMutants() []mutant {
	return []mutant{
		{rule: "wait: the waiting log is fenced too", edits: []edit{
			{"waitlog.go", "return l.fenceAt >= 0 && l.next > l.fenceAt }", "return true }"},
			{"waitlog.go", "return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }", "return true }"}}},
		// Without it nothing counts wrongly: a higher epoch's records are contested,
		// and own ones that do not count are doubted. But the owner would fence over
		// the other one without having asked.
		{rule: "wait: its own fence raised its epoch", by: "^TestShardAsks", edits: []edit{
			{"waitlog.go", "return l.fold.Epoch == l.own.Epoch && l.raisedAt == l.fenceAt }", "return true }"}}},
		{rule: "wait: a superseded owner's record does not count", edits: []edit{
			{"waitfollow.go", "\tif !verdict.Counted() {\n\t\tl.discard(e)", "\tif false {\n\t\tl.discard(e)"}}},
		{rule: "wait: the record counts before the event says so", edits: []edit{
			{"postpone.go", "\ts.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, j.Task, at), Job: j, Wait: wait})\n",
				"\ts.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, j.Task, at), Job: j, Wait: wait})\n\ts.post(j, s.waitEvent(j, j.postponed, true))\n"}}},
		{rule: "wait: `running` counts before the record is written", by: "^TestWaitingRecord", edits: []edit{
			{"postpone.go", "j.written || j.inFlight > 0 || j.begun && !j.current() {", "j.written {"}}},
		{rule: "wait: the job is finished when the event has counted", edits: []edit{
			{"postpone.go", "\ts.post(j, s.waitEvent(j, p, true))\n", "\ts.post(j, s.waitEvent(j, p, true))\n\tj.finished = true\n\ts.settleWaiter(w)\n"}}},
		{rule: "wait: the record carries what happened before", edits: []edit{
			{"postpone.go", "Attempts: p.attempts, Started: p.running,", "Started: p.running,"}}},
		{rule: "wait: a tombstone only after the end has counted", edits: []edit{
			{"postpone.go", "\tj.slot = len(s.active)\n\ts.active = append(s.active, j)\n\tw.job, w.payload = j, nil\n", "\tj.slot = len(s.active)\n\ts.active = append(s.active, j)\n\tw.job, w.payload = j, nil\n\tif s.phase == phaseRunning {\n\t\ts.bury(w)\n\t}\n"}}},
		{rule: "wait: the position covers started waiting tasks", edits: []edit{
			{"progress.go", "\t\tc.include(&j.past) // until its tombstone counts: otherwise it would rise again\n", "\t\t_ = j\n"}}},
		{rule: "wait: a take-over knows what was started", edits: []edit{
			{"waitfollow.go", "\tcase w != nil && w.job == nil:\n\t\t\ts.recallWait(w)\n", "\tcase w != nil && w.job == nil:\n"}}},
		{rule: "wait: a lane record that was replaced is not run", edits: []edit{
			{"shard.go", "case s.blocked[j.Offset] != nil && s.unblock(j):", "case false:"}}},
		{rule: "wait: what was replaced is told again after a doubt", edits: []edit{
			{"waitfollow.go", "\t\t\tj.successor = nil\n\t\t\ts.replace(j, w)\n", "\t\t\t_ = w\n"}}},
		// The worlds come to this too, but seldom.
		{rule: "wait: an end is dropped if another owner let the task wait", by: "^TestRetakeDrops", edits: []edit{
			{"takeover.go", "if p.event.Deferred || p.job.successor != nil {", "if p.event.Deferred {"}}},
		{rule: "wait: a record that stands twice is written again", by: "^TestRecordThat", edits: []edit{
			{"waitlog.go", "case e.Stamp.Epoch < l.fold.Epoch || e.Stamp.Seq < l.fold.Seq:", "case e.Stamp.Epoch < l.fold.Epoch:"}}},
		{rule: "wait: what cannot be read is read again", edits: []edit{
			{"shard.go", "		if s.waits.torn {\n", "		if false {\n"}}},
		{rule: "wait: a job that runs is not found a second time", edits: []edit{
			{"takeover.go", "\t\tw.job, w.settled, j.waiter = j, true, w\n", ""}}},
		{rule: "wait: what waited and has ended is recognised", by: "^TestTask", edits: []edit{
			{"window.go", "if !w.seen[t.identity].ended {", "if true {"}}},
		{rule: "wait: what another owner buried is recognised", by: "^TestTask", edits: []edit{
			{"takeover.go", "\t\ts.recognise(j)\n", ""}}},
		{rule: "wait: what expires first may not begin", by: "^TestWaitingTask", edits: []edit{
			{"waiting.go", "\tcase w.expires:\n\t\treturn time.UnixMilli(never)\n", ""}}},
		{rule: "wait: stale records are buried", edits: []edit{
			{"waitfollow.go", "\tstale := s.waits.stale\n", "\tvar stale []staleWait\n"}}},
		{rule: "retry: queued again once the attempt is closed", edits: []edit{
			{"postpone.go", "if j.stage != stageRetrying || j.past.open || j.inFlight > 0 {", "if true {"}}},
		{rule: "retry: a failed attempt is not a lost one", edits: []edit{
			{"job.go", "\tcase w.For == schemas.WaitRetry:\n\t\tp.failed++\n", "\tcase w.For == schemas.WaitRetry:\n"}}},
	}
}
