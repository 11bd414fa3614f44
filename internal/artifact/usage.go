package artifact

import "sync"

// usage is how many bytes are stored, by user, and how many more are on their way.
type usage struct {
	maxUser, maxTotal int64
	maxUploads        int

	mu      sync.Mutex
	counted tally          // by the last pass, and what was stored here since
	since   *tally         // what was stored here since a pass began, nil while none runs
	coming  tally          // files on their way
	uploads map[string]int // by user
	all     int            // uploads of all users
}

// tally is bytes by user, as in keys. Those of a user count as often as users have the content; total
// is what is stored.
type tally struct {
	users        map[string]int64
	total, files int64
}

func newTally() tally { return tally{users: map[string]int64{}} }

func (t *tally) add(user string, bytes, total int64) {
	if t.users[user] += bytes; t.users[user] <= 0 {
		delete(t.users, user)
	}
	t.total = max(0, t.total+total)
}

func newUsage(c *Config) *usage {
	return &usage{
		maxUser: c.MaxUserBytes, maxTotal: c.MaxBytes, maxUploads: c.MaxUploads,
		counted: newTally(), coming: newTally(), uploads: map[string]int{},
	}
}

// begin takes a place for a file of a user; leave gives it back. A user may have an eighth of them.
func (u *usage) begin(user string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all >= u.maxUploads || u.uploads[user] >= max(1, u.maxUploads/8) {
		return ErrBusy
	}
	u.all++
	u.uploads[user]++
	return nil
}

func (u *usage) leave(user string, took int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all--
	if u.uploads[user]--; u.uploads[user] == 0 {
		delete(u.uploads, user)
	}
	u.coming.add(user, -took, -took)
}

// take takes room for n more bytes of a user's file.
func (u *usage) take(user string, n int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case user != everybody && u.counted.users[user]+u.coming.users[user]+n > u.maxUser:
		return &UserFullError{Used: u.counted.users[user] + u.coming.users[user], Limit: u.maxUser}
	case u.counted.total+u.coming.total+n > u.maxTotal:
		return ErrFull
	}
	u.coming.add(user, n, n)
	return nil
}

// giveBack gives room back that was taken for a file that is still on its way.
func (u *usage) giveBack(user string, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.coming.add(user, -n, -n)
}

// stored counts a file; of its bytes, those that were not the user's before, and were not there.
func (u *usage) stored(user string, more, total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range []*tally{&u.counted, u.since} {
		if t == nil {
			continue
		}
		t.add(user, more, total)
		if total > 0 {
			t.files++
		}
	}
}

// removed takes bytes off, of a user or of what is stored.
func (u *usage) removed(user string, bytes, total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counted.add(user, -bytes, -total)
	if total > 0 {
		u.counted.files--
	}
}

// beginCount notes that a pass begins to count.
func (u *usage) beginCount() {
	u.mu.Lock()
	defer u.mu.Unlock()
	since := newTally()
	u.since = &since
}

// endCount takes what a pass has counted, and what was stored meanwhile: that may have been counted
// as well, which the next pass puts right. Nil if the pass has failed.
func (u *usage) endCount(counted *tally) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if counted != nil {
		for user, n := range u.since.users {
			counted.users[user] += n
		}
		counted.total += u.since.total
		counted.files += u.since.files
		u.counted = *counted
	}
	u.since = nil
}

func (u *usage) sum() (bytes, files int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counted.total, u.counted.files
}
