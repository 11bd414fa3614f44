package notifier

// pinned is the longest message, in bytes, that a subscription holds on to for
// its cursor. It is mostly shared; of a longer one the cursor is copied.
const pinned = 1 << 10

// short is a message with the same cursor that is not long.
func (m *message) short() *message {
	if len(m.frame) <= pinned {
		return m
	}
	return note([]byte(`{"cursor":"` + string(m.cursor()) + `"}`))
}

// resume tells a client where to go on.
func resume(cursor string) *message {
	return note([]byte(`{"kind":"resume","cursor":"` + cursor + `"}`))
}

// handed notes that an item goes to the transport, if it moves the client on. The lock is held.
func (s *session) handed(it item) {
	if it.sub != nil && (it.isEvent() || it.seq > 0 || it.sub.last == nil) {
		it.sub.last = it.message
	}
}

// shorten lets go of long messages that were handed to the transport. The lock is
// held.
func (s *session) shorten() {
	for _, sub := range s.subs {
		if sub.last != nil {
			sub.last = sub.last.short()
		}
	}
}

// queueResumes tells a client that is too slow where to go on, for each subscription
// that has begun: what was handed to its transport before has reached it if this
// does. The lock is held.
func (s *session) queueResumes() {
	for _, sub := range s.subs {
		if sub.last != nil {
			s.out.push(item{message: resume(string(sub.last.cursor())), sub: sub})
		}
	}
}
