package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/processor"
)

// What is said for one lane counts there, what is said for all counts elsewhere, and the
// order in which it is said does not matter.
func TestLanesGetWhatIsSaidOfThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := []string{"fast", "heavy", "gpu"}[:rapid.IntRange(1, 3).Draw(t, "lanes")]
		s := &settings{lanes: lanes, slotsFast: 1, slotsHeavy: 1}
		values := func(what string) (said []string, of map[string]int) {
			of = make(map[string]int)
			if rapid.Bool().Draw(t, what+" for all") {
				n := rapid.IntRange(0, 9).Draw(t, what)
				said = append(said, fmt.Sprint(n))
				for _, lane := range lanes {
					of[lane] = n
				}
			}
			for _, lane := range lanes {
				if rapid.Bool().Draw(t, what+" for "+lane) {
					n := rapid.IntRange(0, 9).Draw(t, what+" of "+lane)
					said = append(said, fmt.Sprintf("%s=%d", lane, n))
					of[lane] = n
				}
			}
			return rapid.Permutation(said).Draw(t, what+" in this order"), of
		}
		var user, service map[string]int
		s.maxPerUser, user = values("max-per-user")
		s.maxPerService, service = values("max-per-service")
		got, err := s.workerLanes()
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		for i, lane := range got {
			if lane.Name != lanes[i] || lane.MaxPerUser != user[lane.Name] || lane.MaxPerService != service[lane.Name] {
				t.Fatalf("--max-per-user %v --max-per-service %v: %+v", s.maxPerUser, s.maxPerService, lane)
			}
		}
	})
}

// Whatever is written for a lane's options: it is taken as it is meant, or the flag is
// named.
func TestLaneOptionsAreTakenOrNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`(fast|heavy|gpu)?=?-?[0-9]{0,3}(s|m)?`),
			rapid.SampledFrom([]string{"user", "none", "fast=user", "=", "0"}),
		).Draw(t, "text")
		for flag, set := range map[string]func(*settings){
			"--max-per-user":    func(s *settings) { s.maxPerUser = []string{text} },
			"--max-per-service": func(s *settings) { s.maxPerService = []string{text} },
			"--ordering":        func(s *settings) { s.ordering = []string{text} },
			"--heartbeat-limit": func(s *settings) { s.heartbeatLimit = []string{text} },
		} {
			s := &settings{lanes: []string{"fast", "heavy"}, slotsFast: 1, slotsHeavy: 1}
			set(s)
			lanes, err := s.workerLanes()
			if err != nil {
				if exitCode(err) != exitUsage || !strings.Contains(err.Error(), flag) {
					t.Fatalf("%s %q: %v", flag, text, err)
				}
				continue
			}
			for _, lane := range lanes {
				fine := lane.MaxPerUser >= 0 && lane.MaxPerService >= 0 && lane.HeartbeatLimit >= 0 &&
					slices.Contains([]processor.Ordering{"", processor.OrderingNone, processor.OrderingUser}, lane.Ordering)
				if !fine {
					t.Fatalf("%s %q is taken as %+v", flag, text, lane)
				}
			}
		}
	})
}

func TestTimesOfLanes(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "1m": time.Minute, "0s": 0,
		"1500ms": 1500 * time.Millisecond} {
		var d time.Duration
		if err := duration(&d)(text); err != nil || d != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "1", "-1s", "soon", "1 m"} {
		var d time.Duration
		if err := duration(&d)(text); err == nil || d != 0 {
			t.Errorf("%q is taken as %v", text, d)
		}
	}
}
