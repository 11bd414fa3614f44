package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/cmd/tasklane/setup"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
)

func TestLanesHaveSlots(t *testing.T) {
	for _, tt := range []struct {
		name  string
		s     settings
		want  []processor.Lane
		wrong string
	}{
		{"the usual two", settings{lanes: []string{"fast", "heavy"}, slotsFast: 4, slotsHeavy: 2},
			[]processor.Lane{{Name: "fast", Slots: 4}, {Name: "heavy", Slots: 2}}, ""},
		{"another one", settings{lanes: []string{"gpu", " fast"}, slotsFast: 3},
			[]processor.Lane{{Name: "gpu", Slots: processor.DefaultSlots}, {Name: "fast", Slots: 3}}, ""},
		{"slots of its own beat the flag", settings{lanes: []string{"gpu=2", "fast=9"}, slotsFast: 3},
			[]processor.Lane{{Name: "gpu", Slots: 2}, {Name: "fast", Slots: 9}}, ""},
		{"caps, order and heartbeat of all lanes", settings{
			lanes: []string{"fast=1"}, maxPerUser: []string{"2"}, maxPerService: []string{"3"}, ordering: []string{"user"},
			heartbeatLimit: []string{"1m"},
		}, []processor.Lane{{Name: "fast", Slots: 1, MaxPerUser: 2, MaxPerService: 3, Ordering: processor.OrderingUser,
			HeartbeatLimit: time.Minute}}, ""},
		{"those of one lane beat those of all", settings{
			lanes: []string{"fast=1", "heavy=1"}, maxPerUser: []string{"fast=0", "2"}, ordering: []string{"heavy=user"},
			heartbeatLimit: []string{"1m", "fast=0"},
		}, []processor.Lane{{Name: "fast", Slots: 1},
			{Name: "heavy", Slots: 1, MaxPerUser: 2, Ordering: processor.OrderingUser, HeartbeatLimit: time.Minute}}, ""},
		{"a cap of no number", settings{lanes: []string{"fast"}, maxPerUser: []string{"-1"}}, nil, "--max-per-user"},
		{"an order that is none", settings{lanes: []string{"fast"}, ordering: []string{"fast=strict"}}, nil, "none or user"},
		{"a negative heartbeat", settings{lanes: []string{"fast"}, heartbeatLimit: []string{"-1s"}}, nil, "want a time"},
		{"a cap of an unknown lane", settings{lanes: []string{"fast"}, maxPerService: []string{"gpu=1"}}, nil, "no lane gpu"},
		{"no number", settings{lanes: []string{"gpu=two"}}, nil, "name=N"},
		{"no slots", settings{lanes: []string{"gpu=0"}}, nil, "at least 1"},
		{"negative slots", settings{lanes: []string{"fast"}, slotsFast: -1}, nil, "at least 1"},
		{"none", settings{}, nil, "no lane given"},
		{"twice", settings{lanes: []string{"fast", "fast=2"}}, nil, "given twice"},
		{"a bad name", settings{lanes: []string{"Fast"}}, nil, "lower-case"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.s.workerLanes()
			if tt.wrong != "" {
				if exitCode(err) != exitUsage || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("error %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASoftLimitAloneMovesTheHardOne(t *testing.T) {
	for _, tt := range []struct{ soft, hard, wantSoft, wantHard time.Duration }{
		{0, 0, 0, 0},
		{time.Minute, 0, time.Minute, 0},
		{30 * time.Minute, 0, 30 * time.Minute, 30*time.Minute + 30*time.Second},
		{time.Minute, 2 * time.Minute, time.Minute, 2 * time.Minute},
	} {
		s := settings{softTimeLimit: tt.soft, timeLimit: tt.hard}
		if soft, hard := s.limits(); soft != tt.wantSoft || hard != tt.wantHard {
			t.Errorf("%v and %v became %v and %v", tt.soft, tt.hard, soft, hard)
		}
	}
}

func TestDebugServicesAreForThisMachineOnly(t *testing.T) {
	for _, tt := range []struct {
		s         settings
		addresses []string
		want      bool
	}{
		{settings{}, []string{"127.0.0.1:8080", "localhost:0", "[::1]:9092"}, true},
		{settings{}, []string{"127.0.0.1:8080", "0.0.0.0:8000"}, false},
		{settings{}, []string{"kafka-1:9092"}, false},
		{settings{}, []string{":8080"}, false},
		{settings{}, []string{"nonsense"}, false},
		{settings{auth: authFlags{mode: "off"}}, []string{"127.0.0.1:8080"}, true},
		{settings{auth: authFlags{mode: "jwt"}}, []string{"127.0.0.1:8080", "localhost:0", "[::1]:9092"}, false},
		{settings{auth: authFlags{mode: "jwt"}, debugServicesGiven: true, debugServices: true}, []string{"127.0.0.1:8080"},
			true},
		{settings{debugServicesGiven: true}, []string{"127.0.0.1:8080"}, false},
		{settings{debugServicesGiven: true, debugServices: true}, []string{"kafka-1:9092"}, true},
	} {
		if got := tt.s.wantDebug(tt.addresses...); got != tt.want {
			t.Errorf("%v with %+v: %v, want %v", tt.addresses, tt.s, got, tt.want)
		}
	}
}

func TestTheRegistryHasWhatItShould(t *testing.T) {
	for debug, want := range map[bool]string{true: "chat/text_analyzer debug/echo", false: "chat/text_analyzer"} {
		registry, err := setup.NewRegistry(new(config.Settings), setup.BuiltIn(debug, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(registry.Names(), " "); got != want {
			t.Errorf("debug %v: %s", debug, got)
		}
	}
}

func TestUpStartsItsPartsInOrder(t *testing.T) {
	for _, tt := range []struct {
		brokers []string
		want    string
	}{
		{nil, "broker processor-directory producer-directory topics webhooks notifier processor producer"},
		// The roles are built before Kafka is waited for, and run after it.
		{[]string{"kafka-1:9092"}, "processor-directory producer-directory webhooks notifier processor producer " +
			"topics webhooks notifier processor producer"},
	} {
		w := &wiring{settings: &settings{brokers: tt.brokers}}
		var names []string
		for _, p := range w.everything() {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
