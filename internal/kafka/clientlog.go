package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// clientLogger takes over what the Kafka library logs, from warnings on: its info level tells every rebalance and
// metadata update. What it says at each outage and each join of a group is put into words that say what happens and
// whether anything is to be done; several of its messages for one thing become the same, so that a handler that sums
// up repeats writes a few lines a minute. What is not known here is passed on as it is.
type clientLogger struct{ *kslog.Logger }

func newClientLogger(l *slog.Logger) kgo.Logger {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return clientLogger{kslog.New(l)}
}

// Level implements kgo.Logger.
func (l clientLogger) Level() kgo.LogLevel { return min(l.Logger.Level(), kgo.LogLevelWarn) }

// Log implements kgo.Logger.
func (l clientLogger) Log(level kgo.LogLevel, message string, keyvals ...any) {
	about := attributes(keyvals)
	for _, known := range inPlainWords() {
		if !strings.HasPrefix(message, known.theirs) {
			continue
		}
		err, _ := about["err"].(error)
		if known.group && isRejoin(err) {
			known.plain = "this member is joining its consumer group again: the group had not heard of it in time, or is " +
				"being shared out anew"
		}
		if known.group && errors.Is(err, context.Canceled) {
			return // it is leaving
		}
		var kept []any
		for _, name := range known.keep {
			if value, there := about[name]; there {
				kept = append(kept, nameOfAttribute(name), value)
			}
		}
		l.Logger.Log(known.level, known.plain, kept...)
		return
	}
	l.Logger.Log(level, message, keyvals...)
}

// plainMessage is what a message of the library means.
type plainMessage struct {
	theirs string // how the library's begins
	level  kgo.LogLevel
	plain  string
	keep   []string // of its attributes
	group  bool     // it is about membership
}

const (
	unreached = "a broker cannot be reached; it is tried again until it can"
	unwritten = "records cannot be written yet; they are kept until the broker takes them, or reported as failed"
	outside   = "the consumer group cannot be joined or held yet; it is tried again until it can"
)

// inPlainWords has the longer beginnings first. The levels are of what it means to an operator: nothing that goes on
// by itself is an error.
func inPlainWords() []plainMessage {
	return []plainMessage{
		{theirs: "unable to open connection to broker due to an immediate EOF", level: kgo.LogLevelWarn,
			plain: "a broker closed a connection at once: it may speak no TLS where --kafka-tls asks for it",
			keep:  []string{"addr", "err"}},
		{theirs: "unable to open connection to broker", level: kgo.LogLevelWarn, plain: unreached,
			keep: []string{"addr", "err"}},
		{theirs: "read from broker received EOF during api versions discovery", level: kgo.LogLevelWarn,
			plain: "a broker closed a connection before it said a word: it may want TLS, which --kafka-tls turns on",
			keep:  []string{"addr", "err"}},
		{theirs: "read from broker errored, killing connection after 0 successful responses", level: kgo.LogLevelWarn,
			plain: "a broker closed a connection before its first answer: it may want SASL, or is stopping",
			keep:  []string{"addr", "err"}},
		{theirs: "unable to request api versions", level: kgo.LogLevelWarn, plain: unreached, keep: []string{"err"}},
		{theirs: "unable to initialize sasl", level: kgo.LogLevelError,
			plain: "a broker does not take this client's credentials (SASL)", keep: []string{"err"}},
		{theirs: "produce partition load error", level: kgo.LogLevelWarn, plain: unwritten,
			keep: []string{"topic", "partition", "err"}},
		{theirs: "random error while producing", level: kgo.LogLevelWarn, plain: unwritten, keep: []string{"err"}},
		{theirs: "unable to load producer ID", level: kgo.LogLevelWarn, plain: unwritten},
		{theirs: "group manage loop errored", level: kgo.LogLevelWarn, plain: outside, keep: []string{"group", "err"},
			group: true},
		{theirs: "join group failed", level: kgo.LogLevelWarn, plain: outside, keep: []string{"group", "err"}, group: true},
		{theirs: "sync group failed", level: kgo.LogLevelWarn, plain: outside, keep: []string{"group", "err"}, group: true},
		{theirs: "received an OffsetCommitResponse after our group session has ended", level: kgo.LogLevelWarn,
			plain: "a commit was answered after this member had left its consumer group; who has its partitions now " +
				"begins at the commit before"},
	}
}

// isRejoin reports whether an error only says that the group has to be joined anew.
func isRejoin(err error) bool {
	for _, code := range []error{
		kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.MemberIDRequired, kerr.FencedMemberEpoch,
		kerr.StaleMemberEpoch,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// attributes are a message's, by name.
func attributes(keyvals []any) map[string]any {
	named := map[string]any{}
	for i := 0; i+1 < len(keyvals); i += 2 {
		if name, is := keyvals[i].(string); is {
			named[name] = keyvals[i+1]
		}
	}
	return named
}

// nameOfAttribute is what an attribute is called in this program's other lines.
func nameOfAttribute(theirs string) string {
	switch theirs {
	case "addr":
		return "broker"
	case "err":
		return "error"
	}
	return theirs
}
