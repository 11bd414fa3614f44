package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/processor"
)

// refine gives a lane what its flags say beyond its slots.
func (s *settings) refine(lane *processor.Lane) error {
	for _, flag := range []struct {
		name   string
		values []string
		want   string
		set    func(string) error
	}{
		{"max-per-user", s.maxPerUser, "a number of tasks, for example 2", number(&lane.MaxPerUser)},
		{"max-per-service", s.maxPerService, "a number of tasks, for example 8", number(&lane.MaxPerService)},
		{"ordering", s.ordering, "none or user", ordering(&lane.Ordering)},
		{"heartbeat-limit", s.heartbeatLimit, "a time, for example 1m", duration(&lane.HeartbeatLimit)},
	} {
		if err := s.each(flag.name, flag.values, lane.Name, func(value string) error {
			if err := flag.set(value); err != nil {
				return cli.Usagef("--%s %q: want %s, or LANE= before it", flag.name, value, flag.want)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// each takes the values for a lane: those for all lanes first, so that its own
// counts.
func (s *settings) each(flag string, values []string, lane string, take func(string) error) error {
	var own []string
	for _, text := range values {
		name, value, given := strings.Cut(strings.TrimSpace(text), "=")
		switch {
		case !given:
			if err := take(name); err != nil {
				return err
			}
		case name == lane:
			own = append(own, value)
		case !s.hasLane(name):
			return cli.Usagef("--%s %q: there is no lane %s; --lanes names them", flag, text, name)
		}
	}
	for _, value := range own {
		if err := take(value); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) hasLane(name string) bool {
	for _, text := range s.lanes {
		if lane, _, _ := strings.Cut(strings.TrimSpace(text), "="); lane == name {
			return true
		}
	}
	return false
}

func number(p *int) func(string) error {
	return func(value string) error {
		n, err := strconv.ParseUint(value, 10, 31)
		*p = int(n)
		return err //nolint:wrapcheck // the caller says what it wants
	}
}

func ordering(p *processor.Ordering) func(string) error {
	return func(value string) error {
		*p = processor.Ordering(value)
		if *p != processor.OrderingNone && *p != processor.OrderingUser {
			return strconv.ErrSyntax
		}
		return nil
	}
}

func duration(p *time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if value == "0" || err == nil && d >= 0 {
			*p = d
			return nil
		}
		return strconv.ErrSyntax
	}
}
