package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/logrepeat"
	"github.com/aiecs/tasklane/internal/logtest"
)

// What the library says at outages and joins is put into words that an operator understands; nothing else is changed.
func TestTheLibrarysLogIsInPlainWords(t *testing.T) {
	refused := errors.New("dial tcp 127.0.0.1:9092: connect: connection refused")
	joining := fmt.Errorf("unable to join group session: %w", kerr.UnknownMemberID)
	for _, c := range []struct {
		level   kgo.LogLevel
		message string
		keyvals []any
		want    string // "" for nothing
	}{
		{kgo.LogLevelWarn, "unable to open connection to broker",
			[]any{"addr", "127.0.0.1:9092", "broker", "seed_0", "err", refused},
			`level=WARN msg="a broker cannot be reached; it is tried again until it can" broker=127.0.0.1:9092 ` +
				`error="dial tcp 127.0.0.1:9092: connect: connection refused"`},
		{kgo.LogLevelWarn, "unable to open connection to broker due to an immediate EOF, which often means …",
			[]any{"addr", "b:1"}, "may speak no TLS"},
		{kgo.LogLevelError, "unable to request api versions", []any{"broker", "1", "err", refused},
			`level=WARN msg="a broker cannot`},
		{kgo.LogLevelWarn, "produce partition load error, bumping error count on first stored batch",
			[]any{"broker", "1", "topic", "task-events", "partition", 3, "err", refused, "can_fail", true, "will_fail", false},
			`kept until the broker takes them, or reported as failed" topic=task-events partition=3 error=`},
		{kgo.LogLevelError, "group manage loop errored", []any{"group", "g", "err", joining, "backoff", 1},
			`level=WARN msg="this member is joining its consumer group again`},
		{kgo.LogLevelError, "group manage loop errored", []any{"group", "g", "err", refused},
			`level=WARN msg="the consumer group cannot be joined`},
		{kgo.LogLevelWarn, "join group failed", []any{"group", "g", "err", kerr.GroupAuthorizationFailed},
			`GROUP_AUTHORIZATION_FAILED`},
		{kgo.LogLevelWarn, "sync group failed", []any{"group", "g", "err", context.Canceled}, ""},
		{kgo.LogLevelError, "batch decompresses larger than MaxDecompressBatchBytes", []any{"topic", "t", "offset", 7},
			`level=ERROR msg="batch decompresses larger than MaxDecompressBatchBytes" topic=t offset=7`},
		{kgo.LogLevelError, "unable to initialize sasl", []any{"err", kerr.SaslAuthenticationFailed},
			`level=ERROR msg="a broker does not take this client's credentials`},
		{kgo.LogLevelWarn, "odd", []any{"one"}, "msg=odd"},
	} {
		var out logtest.Buffer
		newClientLogger(slog.New(slog.NewTextHandler(&out, nil))).Log(c.level, c.message, c.keyvals...)
		if got := out.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") ||
			strings.Contains(got, "can_fail") || strings.Contains(got, "manage loop") {
			t.Errorf("%s %v is logged as %q, want %q", c.message, c.keyvals, got, c.want)
		}
	}
}

// An outage of many partitions, met by all of a process's clients, is a few lines.
func TestAnOutageIsAFewLines(t *testing.T) {
	var out logtest.Buffer
	log := slog.New(logrepeat.New(slog.NewTextHandler(&out, nil)))
	refused := errors.New("connection refused")
	for client := range 10 {
		l := newClientLogger(log)
		for partition := range 64 {
			l.Log(kgo.LogLevelWarn, "unable to open connection to broker", "addr", "b:1", "err", refused)
			l.Log(kgo.LogLevelError, "unable to request api versions", "err", refused)
			l.Log(kgo.LogLevelWarn, "produce partition load error, bumping error count on first stored batch",
				"partition", partition, "err", refused)
			l.Log(kgo.LogLevelWarn, "unable to load producer ID, bumping client's buffered record load errors by 1 and retrying")
			l.Log(kgo.LogLevelWarn, "join group failed", "group", fmt.Sprint(client), "err", refused)
			l.Log(kgo.LogLevelError, "group manage loop errored", "group", fmt.Sprint(client), "err", refused)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 9 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
}
