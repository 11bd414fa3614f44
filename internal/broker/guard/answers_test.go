package guard

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestAnswersKeepTheirTurn: the engine answers in the order of the requests, whatever comes
// in between, and each answer finds what was noted for it.
func TestAnswersKeepTheirTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a answers
		var waiting []int16
		next := int16(0)
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "request") {
				a.expect(expected{key: kmsg.Fetch, version: next})
				waiting = append(waiting, next)
				next++
				continue
			}
			e, ok := a.take()
			if ok != (len(waiting) > 0) {
				t.Fatalf("an answer finds something: %t, %d are waited for", ok, len(waiting))
			}
			if ok && e.version != waiting[0] {
				t.Fatalf("the answer to request %d is taken for that to %d", waiting[0], e.version)
			}
			waiting = waiting[min(1, len(waiting)):]
		}
	})
}

// TestAnswersThatNeverComeLetGo of what they held, once.
func TestAnswersThatNeverComeLetGo(t *testing.T) {
	var a answers
	var released []int
	for i := range 3 {
		a.expect(expected{release: func() { released = append(released, i) }})
	}
	a.expect(expected{})
	if e, _ := a.take(); e.release != nil {
		e.release()
	}
	a.drop()
	a.drop()
	if !slices.Equal(released, []int{0, 1, 2}) {
		t.Errorf("released %v", released)
	}
}

// TestRefusalsStandBehindAnswers: a request that is refused is sent on as a harmless one with
// the same correlation id, whose answer is replaced by the refusal.
func TestRefusalsStandBehindAnswers(t *testing.T) {
	for _, version := range []int16{0, 4, 7} {
		req := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "huge", 1<<30, 1
		req.Topics = append(req.Topics, topic)
		req.SetVersion(version)
		frame := frameOf(req)
		binary.BigEndian.PutUint32(frame[atCorrelation:], 0xfeedbeef)
		c, err := newTestGuard().checkRequest(frame, noTime)
		if err != nil || c.answer == nil {
			t.Fatalf("version %d: %v, answered %v", version, err, c.answer)
		}
		stand := standIn(frame)
		if got := int(binary.BigEndian.Uint32(stand)); got != len(stand)-sizeBytes {
			t.Errorf("the stand-in says it has %d bytes of %d", got, len(stand)-sizeBytes)
		}
		if _, err := newTestGuard().checkRequest(stand[sizeBytes:], noTime); err != nil || !bytes.Equal(stand[8:12],
			frame[4:8]) {
			t.Errorf("the stand-in is no request with that correlation id: %v", err)
		}
		out := (expected{instead: encodeAnswer(frame, c.answer)}).onTheWayOut([]byte("whatever the engine says"))
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.SetVersion(version)
		body := out[sizeBytes+correlationBytes:]
		if resp.IsFlexible() {
			body = body[1:]
		}
		if err := resp.ReadFrom(body); err != nil || len(resp.Topics) != 1 ||
			resp.Topics[0].ErrorCode != kerr.PolicyViolation.Code {
			t.Errorf("version %d: the client reads %+v, %v", version, resp, err)
		}
		if !bytes.Equal(out[sizeBytes:sizeBytes+correlationBytes], frame[4:8]) {
			t.Error("the refusal has another correlation id")
		}
	}
}

// TestOtherAnswersPass as they are, and so does one of ApiVersions that cannot be read.
func TestOtherAnswersPass(t *testing.T) {
	answer := []byte{0, 0, 0, 6, 0, 0, 0, 1, 9, 9}
	for _, e := range []expected{{key: kmsg.Metadata, version: 12}, {key: kmsg.ApiVersions, version: 3}, {}} {
		if got := e.onTheWayOut(answer); !bytes.Equal(got, answer) {
			t.Errorf("%s: the answer became % x", e.key.Name(), got)
		}
	}
}
