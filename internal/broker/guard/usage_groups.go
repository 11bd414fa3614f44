package guard

import (
	"fmt"
	"hash/maphash"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds of all groups together.
const (
	maxGroups       = 2000
	maxMembers      = 5000
	maxMembersBytes = 128 << 20 // what members tell of themselves, and their assignments
	maxCommits      = 50_000
	maxCommitBytes  = 8 << 20 // of the texts beside offsets
)

// The kinds of groups. One that has been a consumer group of KIP-848 stays one:
// the engine mixes up their members otherwise.
const (
	kindClassic  = "classic"
	kindConsumer = "consumer"
)

// groupUsage is what one group makes the engine keep.
type groupUsage struct {
	kind    string
	members int // at the last census
	// joins are members that have asked for an id in this period and the one
	// before. Each is kept for its session timeout, which is no longer than a period.
	joins   [2]int
	largest int // request of a member
	sync    int // bytes of the assignments
	commits map[uint64]int
	texts   int // the bytes of the texts in commits
}

// bytes is about what the members take.
func (u *groupUsage) bytes() int { return u.count()*u.largest + u.sync }

// count is how many members there may be.
func (u *groupUsage) count() int { return u.members + u.joins[0] + u.joins[1] }

// use is the use of a group, which is noted if it is new. It wants mu.
func (l *usage) use(group string) *groupUsage {
	u := l.groups[group]
	if u == nil {
		u = &groupUsage{commits: make(map[uint64]int)}
		l.groups[group] = u
	}
	return u
}

// full reports whether a group is one too many. It wants mu.
func (l *usage) full(group string) bool {
	_, known := l.groups[group]
	return !known && len(l.groups) >= maxGroups
}

// configure admits options of a group, or tells what is wrong with them.
func (l *usage) configure(group string, options []kmsg.IncrementalAlterConfigsRequestResourceConfig) (problem string) {
	for _, o := range options {
		switch o.Name {
		case "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms":
		default:
			return fmt.Sprintf("option %.80q of a group cannot be changed here", o.Name)
		}
		if o.Op == kmsg.IncrementalAlterConfigOpDelete {
			continue
		}
		if o.Value == nil {
			return fmt.Sprintf("option %s has no value", o.Name)
		}
		if ms, err := strconv.Atoi(*o.Value); err != nil || ms < minGroupMS || ms > maxGroupMS {
			return fmt.Sprintf("option %s is %.20q: it is a number of milliseconds from %d to %d", o.Name, *o.Value, minGroupMS,
				maxGroupMS)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.configured[group]; !known && len(l.configured) >= maxGroups || len(group) > maxName {
		return fmt.Sprintf("%d groups have options of their own, as many as may", len(l.configured))
	}
	l.configured[group] = struct{}{}
	return ""
}

// The times that a group's options may name, in milliseconds.
const (
	minGroupMS = 1000
	maxGroupMS = 3_600_000
)

// join admits a member, or tells why not.
func (l *usage) join(group, kind string, isNew bool, bytes int) *kerr.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if group == "" {
		return nil // the engine says so
	}
	if l.full(group) {
		return kerr.PolicyViolation
	}
	u := l.use(group)
	if u.kind == kindConsumer && kind == kindClassic {
		return kerr.InconsistentGroupProtocol
	}
	count, total := 0, 0
	for _, other := range l.groups {
		count += other.count()
		total += other.bytes()
	}
	if isNew && count >= maxMembers {
		return kerr.GroupMaxSizeReached
	}
	if largest := max(u.largest, bytes); total-u.bytes()+(u.count()+1)*largest+u.sync > maxMembersBytes {
		return kerr.PolicyViolation
	}
	u.kind, u.largest = kind, max(u.largest, bytes)
	if isNew {
		u.joins[0]++
	}
	return nil
}

// sync admits assignments. It answers what it does not admit.
func (l *usage) sync(req *kmsg.SyncGroupRequest, bytes int) kmsg.Response {
	if len(req.GroupAssignment) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.groups[req.Group]
	if u == nil {
		return nil // the engine does not know it either
	}
	total := bytes - u.sync
	for _, other := range l.groups {
		total += other.bytes()
	}
	if total > maxMembersBytes {
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		resp.ErrorCode = kerr.PolicyViolation.Code
		return resp
	}
	u.sync = bytes
	return nil
}

// commit admits committed offsets, or tells why not.
func (l *usage) commit(req *kmsg.OffsetCommitRequest) *kerr.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(req.Group) {
		return kerr.PolicyViolation
	}
	count, texts := 0, 0
	for _, other := range l.groups {
		count += len(other.commits)
		texts += other.texts
	}
	u := l.use(req.Group)
	for _, t := range req.Topics {
		topic := maphash.String(l.seed, t.Topic) ^ maphash.Bytes(l.seed, t.TopicID[:])
		for _, p := range t.Partitions {
			size := 0
			if p.Metadata != nil {
				size = len(*p.Metadata)
			}
			if size > maxCommitMetadata {
				return kerr.OffsetMetadataTooLarge
			}
			key := topic ^ uint64(uint32(p.Partition))*0x9e3779b97f4a7c15
			before, known := u.commits[key]
			if !known && count >= maxCommits || texts+size-before > maxCommitBytes {
				return kerr.PolicyViolation
			}
			if !known {
				count++
			}
			u.commits[key] = size
			u.texts += size - before
			texts += size - before
		}
	}
	return nil
}

// forgetGroups forgets groups that are deleted. One that is not, because it has
// members, is noted again by the next census.
func (l *usage) forgetGroups(groups []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range groups {
		delete(l.groups, g)
	}
}
