package main

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

var (
	// Not from its quote on: a text with few quotes before it is found faster.
	statusCompleted = []byte(`completed","step":`)
	sentMember      = []byte(`"sent_ns":`)
	filler          = strings.Repeat("x", 200)
)

// echoTask is the i-th task, about 400 bytes. It is put together by hand: the
// ceiling's sender makes nothing.
func echoTask(i, user int) []byte {
	b := append(make([]byte, 0, 448), `{"task_id":"bench-`...)
	b = append(strconv.AppendInt(b, int64(i), 10), `","user_id":"user-`...)
	b = append(strconv.AppendInt(b, int64(user), 10),
		`","task_name":"echo","mode":"debug","service":"echo","input_data":{"sent_ns":`...)
	b = append(strconv.AppendInt(b, time.Now().UnixNano(), 10), `,"filler":"`...)
	return append(append(b, filler...), `"}}`...)
}

// completed reports whether an event is a task's end. It looks for bytes instead of
// parsing, so that the measuring side costs the pipeline no more than it costs
// the ceiling.
func completed(event []byte) bool { return bytes.Contains(event, statusCompleted) }

// sentAt is when the task of a completed event was sent.
func sentAt(event []byte) (time.Time, bool) {
	_, rest, found := bytes.Cut(event, sentMember)
	if !found {
		return time.Time{}, false
	}
	digits := rest[:max(bytes.IndexByte(rest, ','), 0)]
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns), err == nil
}
