package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// RemoteService is a service whose workers ask for its tasks.
type RemoteService struct {
	// Token is what its workers prove themselves with.
	Token Secret `yaml:"token"`
	// MaxInflight is how many of its tasks its workers have at once.
	MaxInflight int `yaml:"max_inflight"`
	// Heartbeat is how long a worker may say nothing about a task before it has lost it.
	Heartbeat time.Duration `yaml:"heartbeat"`
}

// WantRemoteService is how a remote service is written on a command line.
const WantRemoteService = "MODE/NAME;OPTION=VALUE;…, for example 'text/words;token=env:WORDS_TOKEN;heartbeat=30s'"

// ParseRemoteService reads a remote service as it is written on a command line, with its name.
func ParseRemoteService(text string) (name string, s RemoteService, err error) {
	written := writtenService{want: WantRemoteService, list: "remote_services"}
	name, options, _ := strings.Cut(text, ";")
	name = strings.TrimSpace(name)
	if strings.Contains(name, "=") {
		return "", RemoteService{}, written.refused("there is a = before the options: a remote service has no address, its " +
			"workers know that of --worker-listen")
	}
	_, _, err = written.read("=;"+options, s.set)
	if err == nil {
		err = written.check(name, s.check)
	}
	if err != nil {
		return "", RemoteService{}, err
	}
	return name, s, nil
}

// set takes an option; the problem is "" if nothing is wrong.
func (s *RemoteService) set(key, value string) (problem string) {
	switch key {
	case "token":
		return s.Token.parse(value)
	case "max_inflight":
		return parseCount(value, &s.MaxInflight)
	case "heartbeat":
		s.Heartbeat, problem = parseDuration(value)
		return problem
	}
	return unknownOption(key, "heartbeat", "max_inflight", "token")
}

const (
	minHeartbeat = time.Second
	maxHeartbeat = time.Hour
)

func (s RemoteService) check(below, name string, wrong report) {
	key := below + "." + name
	if !serviceName.MatchString(name) {
		wrong(key, "must be mode/name, for example text/words")
	}
	if s.MaxInflight > maxInflight {
		wrong(key+".max_inflight", fmt.Sprintf("must be at most %d", maxInflight))
	}
	if s.Heartbeat != 0 && (s.Heartbeat < minHeartbeat || s.Heartbeat > maxHeartbeat) {
		wrong(key+".heartbeat", "must be from 1s to 1h")
	}
}

func (s *Settings) checkRemoteServices(wrong report) {
	for _, name := range slices.Sorted(maps.Keys(s.RemoteServices)) {
		s.RemoteServices[name].check("remote_services", name, wrong)
		if _, both := s.Subprocesses[name]; both {
			wrong("remote_services."+name, "must be left out: subprocesses has it too")
		}
		if _, both := s.HTTPServices[name]; both {
			wrong("remote_services."+name, "must be left out: http_services has it too")
		}
	}
}
