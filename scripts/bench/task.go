package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	statusCompleted = []byte(`"status":"completed"`)
	sentMember      = []byte(`"sent_ns":`)
	filler          = strings.Repeat("x", 200)
)

// echoTask is the i-th task, about 400 bytes.
func echoTask(i int) []byte {
	return fmt.Appendf(nil, `{"task_id":"bench-%d","user_id":"user-%d","task_name":"echo","mode":"debug","service":"echo",`+
		`"input_data":{"sent_ns":%d,"filler":%q}}`, i, i, time.Now().UnixNano(), filler)
}

// sentAt is when the task of a completed event was sent; false for every other
// event. It looks for bytes instead of parsing, so that the measuring side costs
// the pipeline no more than it costs the ceiling.
func sentAt(event []byte) (time.Time, bool) {
	if !bytes.Contains(event, statusCompleted) {
		return time.Time{}, false
	}
	_, rest, found := bytes.Cut(event, sentMember)
	if !found {
		return time.Time{}, false
	}
	digits := rest[:max(bytes.IndexByte(rest, ','), 0)]
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns), err == nil
}
