package journal

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// episode is one attempt at a task as a dead letter tells of it.
type episode struct {
	Attempt int               `json:"attempt"`
	Worker  string            `json:"worker"`
	Started schemas.Time      `json:"started,omitzero"`
	Ended   schemas.Time      `json:"ended,omitzero"` // nobody knows when a lost one did
	End     episodeEnd        `json:"end"`
	Code    schemas.ErrorCode `json:"error_code,omitzero"`
	Error   string            `json:"error,omitzero"`
}

// episodeEnd is what became of an attempt: one of these, or the status of the
// task's end.
type episodeEnd string

const (
	endedLost   episodeEnd = "lost"        // its worker was, or the shard
	endedHanded episodeEnd = "handed_over" // to another processor, in order
	endedPutOff episodeEnd = "put_off"     // by the service: it is as if it had not been
	endedFailed episodeEnd = "failed"      // and tried again
)

// Bounds of a history: as many attempts are remembered, the last ones, with so much
// of a text, and as many of them are written as fit.
const (
	maxEpisodes     = 16
	maxEpisodeText  = 200
	maxHistoryBytes = 4 << 10
)

// shortText is a text as an episode has it.
func shortText(s string) string {
	if len(s) > maxEpisodeText {
		s = s[:maxEpisodeText]
	}
	return strings.ToValidUTF8(s, "")
}

// attempt is the open attempt as it has come to an end.
func (p *past) attempt(end episodeEnd) episode {
	return episode{Attempt: p.attempts, Worker: shortText(p.runner), Started: schemas.AtTime(time.UnixMilli(p.startedMS)), End: end}
}

// note keeps an attempt that has ended. The slice is replaced, not changed: copies
// of a past share it.
func (p *past) note(e episode) { p.episodes = lastEpisodes(p.episodes, []episode{e}) }

// lastEpisodes are those of two histories that are remembered, in a slice of their
// own.
func lastEpisodes(earlier, later []episode) []episode {
	all := make([]episode, 0, len(earlier)+len(later))
	all = append(append(all, earlier...), later...)
	return all[max(0, len(all)-maxEpisodes):]
}

// fitting are the last episodes whose JSON has at most so many bytes.
func fitting(all []episode, most int) []episode {
	for ; len(all) > 0; all = all[1:] {
		if b, err := json.Marshal(all); err == nil && len(b) <= most {
			break
		}
	}
	return all
}
