package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A tool is named MODE-SERVICE-TASK. Models and clients take only ^[a-zA-Z0-9_-]{1,64}$, so where a part has other
// characters, is empty or all of it is too long, the name has the parts in a form that fits, and behind them the hash
// of the three: MODE-SERVICE-TASK-HASH. Names of the first kind have two hyphens and those of the second three, so no
// two tools share a name, and what others are offered never changes one.
const (
	maxToolName = 64
	hashDigits  = 10
	// maxPart leaves room for three parts, three hyphens and the hash.
	maxPart = (maxToolName - 3 - hashDigits) / 3
)

// toolName is the name of a task as a tool.
func toolName(mode, service, task string) string {
	name := mode + "-" + service + "-" + task
	if len(name) <= maxToolName && isPlain(mode) && isPlain(service) && isPlain(task) {
		return name
	}
	sum := sha256.Sum256([]byte(mode + "\x00" + service + "\x00" + task))
	return strings.Join([]string{
		fitting(mode), fitting(service), fitting(task), hex.EncodeToString(sum[:])[:hashDigits],
	}, "-")
}

// isPlain reports whether a part stands in a name as it is.
func isPlain(part string) bool {
	return part != "" && strings.IndexFunc(part, func(r rune) bool { return !fits(r) }) < 0
}

func fits(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// fitting is a part with other characters replaced, cut to its length.
func fitting(part string) string {
	var b strings.Builder
	for _, r := range part {
		if !fits(r) {
			r = '_'
		}
		if b.WriteRune(r); b.Len() == maxPart {
			break
		}
	}
	return b.String()
}
