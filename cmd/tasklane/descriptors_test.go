package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/openfiles"
	"github.com/aiecs/tasklane/notifier"
)

// TestDescriptorsAreShared: what all listeners take together stays within what the
// limit leaves, and who gets less than it may have is told.
func TestDescriptorsAreShared(t *testing.T) {
	limit, known := openfiles.Limit()
	if !known {
		t.Fatal("the limit of open files is not known")
	}
	for _, wanted := range []connections{
		{api: 8, notifier: 8, broker: 8}, // all may have what they want
		{api: 10 * int(limit), notifier: 20 * int(limit), broker: int(limit)},
		{metrics: 2 * int(limit)},
		{metrics: int(limit), workers: int(limit)},
	} {
		log := new(bytes.Buffer)
		w := &wiring{settings: &settings{brokers: []string{"127.0.0.1:9092"}}, log: slog.New(slog.NewTextHandler(log, nil))}
		w.shareDescriptors(wanted)
		got := w.connections
		taken := got.api + notifier.OpenConnections(got.notifier) + max(got.broker-innerDescriptors, 0) + got.metrics +
			got.workers
		if got == wanted {
			if log.Len() > 0 {
				t.Errorf("%+v: all get what they want, and it warns: %s", wanted, log)
			}
			continue
		}
		const rounding = 2 * leastConnections
		if left := int(limit) - ownDescriptors; taken > left+rounding {
			t.Errorf("%+v: %+v take %d of %d that are left", wanted, got, taken, left)
		}
		if !strings.Contains(log.String(), "limit of open files") || !strings.Contains(log.String(), "ulimit -n") {
			t.Errorf("%+v: no warning: %s", wanted, log)
		}
	}
}
