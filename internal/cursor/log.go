package cursor

import "hash/fnv"

// LogName tells a topic from all others there were and will be, also of the same name: it is made of the id that a
// broker gave it. Offsets say nothing of where they were counted.
type LogName uint32

const logNameBytes = 4

// NameLog is the name of a topic by its id. Brokers that give none have only the zero id; its log has no name.
func NameLog(topicID [16]byte) LogName {
	if topicID == [16]byte{} {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write(topicID[:]) // it never fails
	return LogName(max(h.Sum32(), 1))
}

// Other reports whether the two are surely of different logs. An unknown one may be any.
func (l LogName) Other(now LogName) bool { return l != 0 && now != 0 && l != now }
