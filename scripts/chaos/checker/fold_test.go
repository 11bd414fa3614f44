package checker

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestReadStamp(t *testing.T) {
	good := map[string]string{"tl-shard": "fast/3", "tl-epoch": "12", "tl-seq": "7"}
	if s, ok := ReadStamp(good); !ok || s != (Stamp{"fast/3", 12, 7}) {
		t.Fatalf("got %v, %v", s, ok)
	}
	for _, name := range []string{"tl-shard", "tl-epoch", "tl-seq"} {
		for _, value := range []string{"", "0", "-1", "+1", " 1", "1x", "1.0", "0000000000000000001", "1234567890123456789"} {
			if name == "tl-shard" && value != "" {
				continue
			}
			headers := map[string]string{"tl-shard": "fast/3", "tl-epoch": "12", "tl-seq": "7"}
			headers[name] = value
			if s, ok := ReadStamp(headers); ok {
				t.Errorf("%s=%q was taken: %v", name, value, s)
			}
		}
	}
}

// TestFoldIsTheRunningMaximum: what counts is what is above everything before
// it in its shard.
func TestFoldIsTheRunningMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fold, highest := Fold{}, map[string]State{}
		for range rapid.IntRange(1, 60).Draw(t, "records") {
			s := Stamp{
				Shard: fmt.Sprint("fast/", rapid.IntRange(0, 1).Draw(t, "shard")),
				Epoch: rapid.Int64Range(1, 3).Draw(t, "epoch"), Seq: rapid.Int64Range(1, 4).Draw(t, "seq"),
			}
			last := highest[s.Shard]
			s.Epoch += margin.Milliseconds()
			appended := rapid.Int64Range(1, 4).Draw(t, "appended")
			above := (s.Epoch > last.Epoch || s.Epoch == last.Epoch && s.Seq > last.Seq) &&
				(s.Epoch == last.Epoch || s.Epoch <= appended+margin.Milliseconds())
			verdict, gap := fold.Take(s, time.UnixMilli(appended))
			if above != (verdict == Counts) || (verdict == Stale) != (s.Epoch < last.Epoch) {
				t.Fatalf("%v after %v: %v", s, last, verdict)
			}
			next := s.Epoch == last.Epoch && s.Seq == last.Seq+1 || s.Epoch > last.Epoch && s.Seq == 1
			if gap != (above && !next) {
				t.Fatalf("%v after %v: gap %v", s, last, gap)
			}
			if above {
				highest[s.Shard] = State{s.Epoch, s.Seq}
			}
		}
	})
}

func TestReadTask(t *testing.T) {
	for value, want := range map[string]bool{
		`{"task_id":"a","user_id":"u"}`:                   true,
		`{"task_id":"a","user_id":"ü","x":{"task_id":1}}`: true,
		``:                                false,
		`null`:                            false,
		`[]`:                              false,
		`{"task_id":"a","user_id":"u"`:    false,
		`{"task_id":"a","user_id":"u"} x`: false,
		`{"task_id":"a","user_id":"u","task_id":"b"}`:              false,
		`{"task_id":"a","USER_ID":"u"}`:                            false,
		`{"task_id":1,"user_id":"u"}`:                              false,
		`{"task_id":"a/b","user_id":"u"}`:                          false,
		`{"task_id":"a","user_id":"\ud800"}`:                       false,
		`{"task_id":"a","user_id":"�"}`:                            true,
		`{"task_id":"","user_id":"u"}`:                             false,
		`{"task_id":"a","user_id":""}`:                             false,
		"{\"task_id\":\"a\",\"user_id\":\"u\",\"x\":\"\xff\"}":     false,
		`{"task_id":"a","user_id":"u","retry":{"max_attempts":7}}`: true,
	} {
		if got, ok := readTask([]byte(value)); ok != want {
			t.Errorf("%s: %v, %v", value, got, ok)
		}
	}
	got, _ := readTask([]byte(`{"task_id":"a","user_id":"u","retry":{"max_attempts":7},` +
		`"not_before":"2026-01-01T00:00:00Z"}`))
	if got.maxAttempts != 7 || got.notBefore.Year() != 2026 {
		t.Errorf("got %+v", got)
	}
}
