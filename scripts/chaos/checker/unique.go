package checker

import (
	"cmp"
	"slices"
)

// content is what unique tasks have in common.
type content struct{ userID, key, shard string }

// rival is one of the tasks with the same content.
type rival struct {
	id identity
	*life
}

// holds reports whether the task keeps the others out for good.
func (r rival) holds() bool { return r.status == "completed" }

func (r rival) duplicate() bool { return r.code == "duplicate" }

// judgeUnique: of tasks with the same content one holds the claim at a time.
func (c *Checker) judgeUnique() {
	rivals := map[content][]rival{}
	for id, l := range c.lives {
		if l.content != "" && !l.received.IsZero() {
			of := content{id.userID, l.content, id.shard}
			rivals[of] = append(rivals[of], rival{id, l})
		}
	}
	for _, all := range rivals {
		c.judgeStarts(all)
		c.judgeDuplicates(all)
	}
}

// judgeStarts: a task starts when the one that started before it has ended, and
// not successfully.
func (c *Checker) judgeStarts(all []rival) {
	started := slices.DeleteFunc(slices.Clone(all), func(r rival) bool { return r.running == 0 })
	slices.SortFunc(started, func(a, b rival) int { return cmp.Compare(a.beginAt, b.beginAt) })
	for i, r := range started {
		c.report.check(OneAtATime, r.began)
		if i == 0 {
			continue
		}
		if before := started[i-1]; before.holds() || before.ends == 0 || before.endsAt > r.beginAt {
			c.report.breach(OneAtATime, r.began, "%s started although %s has the same content and %s", r.id, before.id,
				before.standing())
		}
	}
}

func (r rival) standing() string {
	switch {
	case r.ends == 0:
		return "has not ended"
	case r.holds():
		return "was completed"
	}
	return "had not ended yet"
}

// judgeDuplicates: a duplicate never started, and names another task that held
// the claim when the duplicate ended.
func (c *Checker) judgeDuplicates(all []rival) {
	byName := map[string]rival{}
	for _, r := range all {
		byName[r.id.taskID] = r
	}
	for _, r := range all {
		if !r.duplicate() {
			continue
		}
		c.report.check(OneAtATime, r.ended)
		holder, known := byName[r.of]
		switch {
		case r.running > 0:
			c.report.breach(OneAtATime, r.ended, "%s is called a duplicate and was started", r.id)
		case !known || holder.id == r.id || holder.duplicate():
			c.report.breach(OneAtATime, r.ended, "%s is called a duplicate of %q, which never held its content", r.id, r.of)
		case holder.ends > 0 && !holder.holds() && holder.endsAt < r.endsAt:
			c.report.breach(OneAtATime, r.ended, "%s is called a duplicate of %s, which had ended as %s before", r.id, holder.id,
				holder.status)
		}
	}
}
