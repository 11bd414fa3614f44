package shard

import (
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
)

// doGroup performs what the group and its coordinator do.
func (w *world) doGroup(o *owner, a action) {
	switch a.verb {
	case doCommit:
		w.left.commits--
		c, _ := o.shard.CommitPoint()
		o.commit, o.commitGen = &c, o.generation
	case doAnswerCommit:
		c := o.commit
		o.commit = nil
		if w.accept(*c, o.commitGen) && o.shard != nil {
			o.shard.Committed(*c)
		}
	case doAssign:
		if o.shard != nil {
			o.reassign()
			return
		}
		o.assign()
	case doLearnLost:
		o.lose()
	case doGive:
		w.give(o)
	case doRestart:
		o.up = true
	case doLose:
		o.orphans = slices.Clone(o.orphans[1:])
	}
}

func (w *world) accept(c fold.Commit, generation int) bool {
	if generation != w.generation && !w.lenient {
		return false
	}
	w.commit = c
	w.checkCommit(c)
	return true
}

func (w *world) give(o *owner) {
	w.generation++
	w.assigned = o.index
}
