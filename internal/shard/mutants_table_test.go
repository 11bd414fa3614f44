//go:build mutants

package shard

import (
	"slices"

	"github.com/aiecs/tasklane/internal/mutation"
)

// mutants are the rules, each with the edit that takes it out.
func mutants() []mutation.Mutant {
	return slices.Concat(takeOverMutants(), retakeMutants(), runMutants(), commitMutants(), waitMutants(),
		claimMutants(), laneMutants(), shedMutants(), unassignedMutants())
}

func takeOverMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "take-over: read on to the own fence", Edits: []mutation.Edit{
			{"takeover.go", "!s.jobs.journal.fenced() || !s.jobs.waits.fenced() {",
				"s.jobs.journal.fenceAt < 0 || !s.jobs.waits.fenced() {"},
			{"takeover.go", "	if !s.jobs.journal.raised() || !s.jobs.waits.raised() {\n",
				"	if s.jobs.journal.next <= s.jobs.journal.fenceAt {\n\t\ts.jobs.journal.fold, " +
					"s.jobs.journal.next = s.jobs.journal.own, s.jobs.journal.fenceAt+1\n\t\ts.run()\n" +
					"\t\treturn\n\t}\n\tif !s.jobs.journal.raised() || " +
					"!s.jobs.waits.raised() {\n"},
		}},
		{Rule: "take-over: the own fence raised the epoch", Edits: []mutation.Edit{
			{"takeover.go", "!s.jobs.journal.raised() ||", "s.jobs.journal.fold.Epoch != s.jobs.journal.own.Epoch ||"}}},
		{Rule: "take-over: nothing above the own fence counts", Edits: []mutation.Edit{
			{"takeover.go", "!s.jobs.journal.raised() ||", "false ||"}}},
		{Rule: "take-over: epoch above what is known", Edits: []mutation.Edit{
			{"takeover.go", "s.takeover.known = s.epoch(now)",
				"s.takeover.known = max(s.jobs.journal.own.Epoch+1, now.UnixMilli())"}}},
		{Rule: "take-over: epoch known from the journal", Edits: []mutation.Edit{
			{"takeover.go", "\ts.takeover.known = max(s.takeover.known, e.Stamp.Epoch)\n", ""}}},
		{Rule: "take-over: what lies beyond the broker's clock is not gone above", By: "^TestShardGoesNotAbove",
			Edits: []mutation.Edit{
				{"takeover.go", "\t\ts.passOver(JournalLog, e.Stamp, e.Offset, e.Appended)\n",
					"\t\ts.takeover.known = max(s.takeover.known, e.Stamp.Epoch)\n\t\ts.passOver(JournalLog, e.Stamp, " +
						"e.Offset, e.Appended)\n"}}},
		{Rule: "take-over: nor in the waiting log", By: "^TestShardGoesNotAbove", Edits: []mutation.Edit{
			{"waiting_log.go", "\t\ts.passOver(WaitingLog, e.Stamp, e.Offset, e.Appended)\n",
				"\t\ts.takeover.known = max(s.takeover.known, e.Stamp.Epoch)\n\t\ts.passOver(WaitingLog, e.Stamp, " +
					"e.Offset, e.Appended)\n"}}},
		{Rule: "take-over: a fence beyond the broker's clock is followed by one of the broker's time",
			Edits: []mutation.Edit{
				{"takeover.go", "\tif s.takeover.horizon.appended > 0 {\n", "\tif false {\n"}}},
		{Rule: "take-over: an own epoch beyond the broker's clock is not gone above", Edits: []mutation.Edit{
			{"takeover.go", "\ts.takeover.known = s.jobs.waits.fold.Epoch\n", ""}}},
		{Rule: "take-over: a commit beyond the broker's clock is not believed", Edits: []mutation.Edit{
			{"takeover.go", "if !s.takeover.horizon.beyond || max", "if true || max"}}},
		{Rule: "take-over: the whole journal is read before fencing", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "if s.phase == phaseReading && s.jobs.journal.wasRead() && ",
				"if s.phase == phaseReading && "}}},
		{Rule: "take-over: the fold starts from the commit's state", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "s.jobs.journal.fold, s.takeover.foldFrom = c, c.Before, c.Position",
				"s.jobs.journal.fold, s.takeover.foldFrom = c, fold.State{}, c.Position"}}},
		// The owner learns nothing wrong without it: what was repeated from before
		// the position is about offsets below the commit. Readers that resume from
		// a commit need it.
		{Rule: "take-over: the fold starts from the commit's seq too", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "s.jobs.journal.fold, s.takeover.foldFrom = c, c.Before, c.Position",
				"s.jobs.journal.fold, s.takeover.foldFrom = c, fold.State{Epoch: c.Before.Epoch}, c.Position"}}},
		{Rule: "take-over: the window is read again", Edits: []mutation.Edit{
			{"takeover.go", "s.jobs.journal.next = min(max(c.Window, journal.Start), s.takeover.foldFrom)",
				"s.jobs.journal.next = s.takeover.foldFrom"}}},
		{Rule: "take-over: what is below the commit is remembered", Edits: []mutation.Edit{
			{"takeover.go", "\t\tjs.remember(r, id.task, e.Offset)\n", ""}}},
	}
}

func retakeMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "retake: local state is replaced by the fold", Edits: []mutation.Edit{
			{"reconcile.go", "\tj.history = attemptHistory{}\n\tjs.recollect(j)\n", "\tdelete(js.unreceived, j.id())\n"}}},
		{Rule: "retake: what counted is not written again", Edits: []mutation.Edit{
			{"reconcile.go", "if p.record.counted || p.record.job == nil || unfinished&(1<<p.record.job.stage) == 0 {",
				"if p.record.job == nil || unfinished&(1<<p.record.job.stage) == 0 {"}}},
		{Rule: "retake: what did not count is written again", Edits: []mutation.Edit{
			{"reconcile.go",
				"\t\tp.record.event.Attempt = p.record.job.Attempt\n\t\tjs.post(p.record.job, p.record.event)\n", ""}}},
		// The worlds come to this too, but seldom.
		{Rule: "retake: a conviction is looked at again", By: "^TestShardRetake", Edits: []mutation.Edit{
			{"reconcile.go", "if !p.record.stands() {", "if false {"}}},
		{Rule: "retake: work goes on under a new attempt", Edits: []mutation.Edit{
			{"reconcile.go", "\tcase !j.current():\n\t\tjs.postRunning(j)\n", ""}}},
		{Rule: "retake: a foreign attempt of the same number is not the own", By: "^TestShard", Edits: []mutation.Edit{
			{"job.go", "return j.begun() && j.history.ran == j.ran",
				"return j.begun() && j.history.running > 0 && j.history.attempts == j.Attempt"}}},
		{Rule: "retake: jobs that could not begin are offered again", Edits: []mutation.Edit{
			{"reconcile.go", "case j.stage == stageQueued:", "case false:"}}},
		{Rule: "contest: the coordinator is asked", Edits: []mutation.Edit{
			{"takeover.go", "\ts.port.Confirm()\n", "\ts.retake()\n"}}},
		{Rule: "contest: the coordinator's word is obeyed", Edits: []mutation.Edit{
			{"takeover.go", "if !accepted {", "if false {"}}},
		{Rule: "doubt: a failed append", Edits: []mutation.Edit{
			{"shard.go", "\t\ts.doubt(\"append failed\", \"error\", err)\n", ""}}},
		{Rule: "doubt: a foreign record that counts", By: "^TestShard", Edits: []mutation.Edit{
			{"takeover.go", "case e.Stamp.Epoch != s.jobs.journal.own.Epoch:", "case false:"},
			{"takeover.go", "\tcase !ok:\n\t\ts.doubt(\"a record counts",
				"\tcase !ok && (s.jobs.journal.fold.Epoch != s.jobs.journal.own.Epoch || s.jobs.journal.outbox.len() == " +
					"0):\n\t\treturn\n\tcase !ok:\n\t\ts.doubt(\"a record counts"},
		}},
		{Rule: "doubt: a gap in the own seq", Edits: []mutation.Edit{
			{"takeover.go", "case verdict == fold.CountsAfterGap:", "case false:"},
			{"takeover.go", "\tp, ok := s.jobs.journal.settle()\n",
				"\tfor p := s.jobs.journal.outbox.first(); p != nil && p.at.Compare(s.jobs.journal.fold) < 0; p = " +
					"s.jobs.journal.outbox.first() {\n\t\ts.jobs.journal.outbox.pop()\n\t}\n\tp, ok := s.jobs.journal.settle()\n"},
		}},
		// Within the log's promises another rule always comes first: an own record
		// does not count because of a higher epoch (contest) or because a later
		// own one did (gap). It is there for a log that loses what it
		// acknowledged, which the worlds do not.
		{Rule: "doubt: acknowledged, read past, not counted", By: "^TestShardDoubts", Edits: []mutation.Edit{
			{"shard.go", "\tcase s.jobs.journal.passed():\n", "\tcase false:\n"}}},
	}
}

func runMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "run: `running` is acknowledged before work starts", Edits: []mutation.Edit{
			{"shard.go", "\ts.jobs.postRunning(j)\n\treturn true\n",
				"\ts.jobs.postRunning(j)\n\ts.jobs.start(j)\n\treturn true\n"}}},
		{Rule: "run: `running` that was read past starts nothing", By: "^TestShard", Edits: []mutation.Edit{
			{"shard.go", "if p.record.running() && offset >= s.jobs.journal.next {", "if p.record.running() {"}}},
		{Rule: "run: lost attempts are limited", Edits: []mutation.Edit{
			{"receive.go", "case j.lostTooOften():", "case false:"}}},
		// The worlds come to this too, but seldom.
		{Rule: "run: lost attempts are limited after a doubt", By: "^TestShardRetake", Edits: []mutation.Edit{
			{"reconcile.go", "case j.stage.in(stageQueued, stageOffered) && j.lostTooOften():", "case false:"}}},
		{Rule: "run: a clean hand-over is no lost attempt", Edits: []mutation.Edit{
			{"history.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running"}}},
		{Rule: "run: hand-overs are limited", By: "^TestPast", Edits: []mutation.Edit{
			{"history.go", "return p.running - min(p.handed, maxHandOvers)", "return p.running - p.handed"}}},
		{Rule: "run: a repeated task is not run", Edits: []mutation.Edit{
			{"receive.go", "case js.repeated(j) && !j.history.started:", "case false:"}}},
		// The worlds come to this too, but seldom.
		{Rule: "run: a task that was started is no repeat", By: "^TestShardRuns", Edits: []mutation.Edit{
			{"receive.go", "case js.repeated(j) && !j.history.started:", "case js.repeated(j):"}}},
		{Rule: "run: tracked tasks are recognised", Edits: []mutation.Edit{
			{"receive.go", "\tjs.window.see(j.Identity, j.Offset)\n\treturn false\n", "\treturn false\n"}}},
		{Rule: "run: finished tasks are recognised", Edits: []mutation.Edit{
			{"window.go", "if w.limit == 0 {", "if true {"}}},
		{Rule: "run: what has ended is not run again", Edits: []mutation.Edit{
			{"receive.go", "\tcase j.history.over():\n\t\tjs.move(j, stepFinish)\n\t\tjs.unblock(j)\n", ""}}},
		{Rule: "run: a job is ended from outside only once it is known", Edits: []mutation.Edit{
			{"job.go", "return endable&(1<<j.stage) != 0",
				"return (endable|1<<stageReceived|1<<stageDeadLettering)&(1<<j.stage) != 0"}}},
		{Rule: "run: a forgotten shard writes nothing", By: "^TestShard", Edits: []mutation.Edit{
			{"shard.go", "if s.phase == phaseForgotten || !j.Endable() {", "if !j.Endable() {"},
			{"jobs.go",
				"\tif !js.running {\n\t\tjs.journal.outbox.add(sent[written]{offset: -1, record: " +
					"written{job: j, event: e}})\n\t\treturn\n\t}\n", ""}}},
		{Rule: "run: a dead letter is acknowledged before its end is written", Edits: []mutation.Edit{
			{"receive.go", "\tjs.move(j, stepDeadLetter)\n\tjs.port.WriteDeadLetter(j, j.deadLetter())\n",
				"\tjs.move(j, stepDeadLetter)\n\tjs.deadLetterWritten(j)\n"}}},
		{Rule: "run: another lane's past is not the job's", By: "^TestShard", Edits: []mutation.Edit{
			{"job.go", "sourceID{j.Offset, j.Wait, j.Identity}", "sourceID{j.Offset, j.Wait, fold.Identity{}}"},
			{"history.go", "sourceID{r.Source.Offset, r.wait, fold.IdentityOf(r.UserID, r.TaskID)}",
				"sourceID{r.Source.Offset, r.wait, fold.Identity{}}"}}},
	}
}

func commitMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "commit: count before commit", Edits: []mutation.Edit{
			{"shard.go", "\tif p := acknowledge(s, &s.jobs.journal, at, offset); p != nil {\n",
				"\tif p := acknowledge(s, &s.jobs.journal, at, offset); p != nil {\n\t\tif p.record.event != nil && " +
					"p.record.event.Terminal() {\n\t\t\ts.jobs.move(p.record.job, " +
					"stepFinish)\n\t\t\ts.jobs.advance()\n\t\t}\n"}}},
		{Rule: "commit: only while running", By: "^TestShard", Edits: []mutation.Edit{
			{"commit_point.go", "if s.phase != phaseRunning || s.jobs.unassigned || s.jobs.waits.torn {",
				"if s.phase == phaseNew {"}}},
		{Rule: "commit: the position includes held jobs", Edits: []mutation.Edit{
			{"commit_point.go", "\tfor _, j := range s.jobs.tracker.live() {\n\t\tinclude(&c, &j.history)\n",
				"\tfor _, j := range s.jobs.tracker.live() {\n\t\t_ = j\n"}}},
		{Rule: "commit: the position includes events of earlier epochs", Edits: []mutation.Edit{
			{"commit_point.go", "\tif p.started {\n", "\tif p.started && p.first.After.Epoch == c.Own {\n"}}},
		{Rule: "commit: the position includes what was not received yet", Edits: []mutation.Edit{
			{"commit_point.go", "\t\tinclude(&c, p)\n", "\t\t_ = p\n"}}},
		{Rule: "commit: the position is not beyond what was read", Edits: []mutation.Edit{
			{"commit_point.go", "Position: s.jobs.journal.next, Before: s.jobs.journal.fold",
				"Position: s.jobs.journal.next + int64(s.jobs.journal.outbox.len()), Before: fold.State{Epoch: " +
					"s.jobs.journal.own.Epoch, Seq: s.jobs.journal.own.Seq}"}}},
		{Rule: "commit: the state is the one before the position", Edits: []mutation.Edit{
			{"commit_point.go", "c.Position, c.Before = at.Offset, at.Before",
				"c.Position, c.Before = at.Offset, at.After"}}},
		{Rule: "commit: the prefix stops at unfinished jobs", Edits: []mutation.Edit{
			{"tracker.go", "for t.len() > 0 && t.jobs[t.head].finished() {",
				"for t.len() > 0 && (t.jobs[t.head].finished() || t.jobs[len(t.jobs)-1].finished()) {"}}},
		{Rule: "commit: the window starts at the oldest remembered end", Edits: []mutation.Edit{
			{"commit_point.go", "c.Window = s.jobs.window.start(c.Position)", "c.Window = c.Position"}}},
		{Rule: "commit: the prefix never falls", By: "^TestTracker", Edits: []mutation.Edit{
			{"tracker.go", "t.prefix = max(t.prefix, j.Offset+1)", "t.prefix = j.Offset + 1"}}},
		{Rule: "commit: passed tasks stay recognised after a doubt", Edits: []mutation.Edit{
			{"missing.go", "\t\tjs.window.end(task)\n", "\t\t_ = task\n"}}},
	}
}

// waitMutants are the rules of the waiting log.
func waitMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "wait: the waiting log is fenced too", Edits: []mutation.Edit{
			{"takeover.go", "!s.jobs.waits.fenced() {", "false {"},
			{"takeover.go", "!s.jobs.waits.raised() {", "false {"}}},
		// Without it nothing counts wrongly: a higher epoch's records are contested,
		// and own ones that do not count are doubted. But the owner would fence over
		// the other one without having asked.
		{Rule: "wait: its own fence raised its epoch", By: "^TestShardAsks", Edits: []mutation.Edit{
			{"takeover.go", "!s.jobs.waits.raised() {", "false {"}}},
		{Rule: "wait: a superseded owner's record does not count", Edits: []mutation.Edit{
			{"waiting_log.go", "\tif !verdict.Counted() {\n\t\tl.discard(e)", "\tif false {\n\t\tl.discard(e)"}}},
		{Rule: "wait: the record counts before the event says so", Edits: []mutation.Edit{
			{"postpone.go", "\t\tWait: wait})\n",
				"\t\tWait: wait})\n\tjs.post(j, js.events.wait(j, j.postponed, true))\n"}}},
		{Rule: "wait: `running` counts before the record is written", By: "^TestWaitingRecord", Edits: []mutation.Edit{
			{"postpone.go", " && j.stage == stageDelaying && j.inFlight == 0 && (!j.begun() || j.current()) {",
				" && j.stage == stageDelaying {"}}},
		{Rule: "wait: the job is finished when the event has counted", Edits: []mutation.Edit{
			{"postpone.go", "\tjs.post(j, js.events.wait(j, p, true))\n",
				"\tjs.post(j, js.events.wait(j, p, true))\n\tjs.move(j, stepFinish)\n\tjs.settleDelayed(w)\n"}}},
		{Rule: "wait: the record carries what happened before", Edits: []mutation.Edit{
			{"postpone.go", "Attempts: p.attempts, Started: p.running,", "Started: p.running,"}}},
		{Rule: "wait: a tombstone only after the end has counted", Edits: []mutation.Edit{
			{"waiting_log.go",
				"\tj.slot = len(l.active)\n\tl.active = append(l.active, j)\n\tw.job, w.payload = " +
					"j, nil\n",
				"\tj.slot = len(l.active)\n\tl.active = append(l.active, j)\n\tw.job, " +
					"w.payload = j, nil\n\tl.writeTombstone(w)\n"}}},
		{Rule: "wait: the position covers started waiting tasks", Edits: []mutation.Edit{
			{"commit_point.go",
				"\t\tinclude(&c, &j.history) // until its tombstone counts: otherwise it would rise again\n",
				"\t\t_ = j\n"}}},
		{Rule: "wait: a take-over knows what was started", Edits: []mutation.Edit{
			{"reconcile.go", "\tcase w != nil && w.job == nil:\n\t\t\tjs.recallWait(w)\n",
				"\tcase w != nil && w.job == nil:\n"}}},
		{Rule: "wait: a lane record that was replaced is not run", Edits: []mutation.Edit{
			{"receive.go", "case js.waits.blocked[j.Offset] != nil && js.unblock(j):", "case false:"}}},
		{Rule: "wait: what was replaced is told again after a doubt", Edits: []mutation.Edit{
			{"reconcile.go", "\t\t\tj.successor = nil\n\t\t\tjs.replace(j, w)\n", "\t\t\t_ = w\n"}}},
		// The worlds come to this too, but seldom.
		{Rule: "wait: an end is dropped if another owner let the task wait", By: "^TestRetakeDrops",
			Edits: []mutation.Edit{
				{"reconcile.go", "if p.record.event.Deferred || p.record.job.successor != nil {",
					"if p.record.event.Deferred {"}}},
		{Rule: "wait: a record that stands twice is written again", By: "^TestRecordThat", Edits: []mutation.Edit{
			{"waiting_log.go",
				"case e.Stamp.Epoch < l.fold.Epoch || e.Stamp.Epoch == l.fold.Epoch && e.Stamp.Seq < l.fold.Seq:",
				"case e.Stamp.Epoch < l.fold.Epoch:"}}},
		{Rule: "wait: a hold that ended unseen is found", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"postpone.go", "if w.hold() != \"\" && !js.held(w) {", "if false {"}}},
		{Rule: "wait: what nothing holds goes on", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"delayed_task.go", "w.hold() != \"\" && !held(w)", "false && !held(w)"}}},
		{Rule: "wait: what is held stays", By: "^TestHold|^TestHeld", Edits: []mutation.Edit{
			{"delayed_task.go", "w.hold() != \"\" && !held(w)", "w.hold() != \"\""}}},
		{Rule: "wait: what another hold outlasts is told of that", By: "^TestAnotherHold", Edits: []mutation.Edit{
			{"readahead.go", "by.Name == \"\" || h.outlasts(by)", "by.Name == \"\""}}},
		{Rule: "wait: what a cap holds is told of a pause", By: "^TestWhatACap", Edits: []mutation.Edit{
			{"postpone.go", "\tif js.heldUntold(w) {", "\tif false {"}}},
		{Rule: "wait: what a pause holds is let out of its cap a few at a time", By: "^TestWhatACap", Edits: []mutation.Edit{
			{"readahead.go", "\t\t\tuntold -= j.Bytes\n", ""}}},
		{Rule: "wait: what cannot be read is read again", Edits: []mutation.Edit{
			{"shard.go", "		if s.jobs.waits.torn {\n", "		if false {\n"}}},
		{Rule: "wait: a job that runs is not found a second time", Edits: []mutation.Edit{
			{"reconcile.go", "\t\tw.job, w.settled, j.delayed = j, true, w\n", ""}}},
		{Rule: "wait: what waited and has ended is recognised", By: "^TestTask", Edits: []mutation.Edit{
			{"window.go", "if !w.seen[t.identity].ended {", "if true {"}}},
		{Rule: "wait: what another owner buried is recognised", By: "^TestTask", Edits: []mutation.Edit{
			{"reconcile.go", "\t\tjs.remind(j)\n", ""}}},
		{Rule: "wait: what expires first may not begin", By: "^TestWaitingTask", Edits: []mutation.Edit{
			{"delayed_task.go", "\tcase w.expires:\n\t\treturn time.UnixMilli(never)\n", ""}}},
		{Rule: "wait: stale records are buried", Edits: []mutation.Edit{
			{"waiting_log.go", "\tstale := l.stale\n", "\tvar stale []staleWait\n"}}},
		{Rule: "retry: queued again once the attempt is closed", Edits: []mutation.Edit{
			{"postpone.go", "if j.stage != stageRetrying || j.history.open || j.inFlight > 0 {", "if true {"}}},
		{Rule: "retry: a failed attempt is not a lost one", Edits: []mutation.Edit{
			{"history.go", "\t\tnow.End = endedFailed\n\t\tp.failed++\n", "\t\tnow.End = endedFailed\n"}}},
	}
}
