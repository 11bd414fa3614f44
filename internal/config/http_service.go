package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/ssrf"
)

// HTTPService is a service that is asked over HTTP.
type HTTPService struct {
	// URL takes tasks by POST, and describes the service by GET.
	URL string `yaml:"url"`
	// Token is sent as Authorization: Bearer TOKEN; Headers are sent as they are.
	Token   Secret            `yaml:"token"`
	Headers map[string]Secret `yaml:"headers"`
	// Allow are addresses and ranges beside the public ones that the URL's name may have.
	Allow []string `yaml:"allow"`
	// MaxInflight is how many tasks of a lane are asked for at once.
	MaxInflight int `yaml:"max_inflight"`
	// MaxAnswer is the longest answer.
	MaxAnswer      Bytes         `yaml:"max_answer"`
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
}

// WantHTTPService is how a service over HTTP is written on a command line.
const WantHTTPService = "MODE/NAME=URL;OPTION=VALUE;…, " +
	"for example 'text/words=http://127.0.0.1:9000/;max_inflight=8;token=env:WORDS_TOKEN'"

// ParseHTTPService reads a service over HTTP as it is written on a command line, with its name.
func ParseHTTPService(text string) (name string, s HTTPService, err error) {
	written := writtenService{want: WantHTTPService, list: "http_services"}
	name, s.URL, err = written.read(text, s.set)
	if err == nil {
		err = written.check(name, s.check)
	}
	if err != nil {
		return "", HTTPService{}, err
	}
	return name, s, nil
}

// set takes an option; the problem is "" if nothing is wrong.
func (s *HTTPService) set(key, value string) (problem string) {
	switch key {
	case "token":
		return s.Token.parse(value)
	case "header":
		name, text, ok := strings.Cut(value, ":")
		if !ok {
			return "must be NAME: VALUE, where VALUE is env:VARIABLE, file:PATH or the value itself"
		}
		var secret Secret
		if problem := secret.parse(strings.TrimSpace(text)); problem != "" {
			return problem
		}
		if s.Headers == nil {
			s.Headers = map[string]Secret{}
		}
		s.Headers[strings.TrimSpace(name)] = secret
		return ""
	case "allow":
		s.Allow = append(s.Allow, strings.Split(value, ",")...)
		return ""
	case "max_inflight":
		return parseCount(value, &s.MaxInflight)
	case "max_answer":
		return s.MaxAnswer.parse(value)
	case "connect_timeout":
		s.ConnectTimeout, problem = parseDuration(value)
		return problem
	}
	return unknownOption(key, "allow", "connect_timeout", "header", "max_answer", "max_inflight", "token")
}

const maxInflight = 10_000

func (s HTTPService) check(below, name string, wrong report) {
	key := below + "." + name
	if !serviceName.MatchString(name) {
		wrong(key, "must be mode/name, for example text/words")
	}
	if problem := problemOfURL(s.URL); problem != "" {
		wrong(key+".url", strings.Replace(problem, "https://api.openai.com/v1", "http://127.0.0.1:9000/", 1))
	}
	if _, err := ssrf.ParseAllow("it", s.Allow); err != nil {
		wrong(key+".allow", "must be addresses and ranges: "+err.Error())
	}
	if s.MaxInflight > maxInflight {
		wrong(key+".max_inflight", fmt.Sprintf("must be at most %d", maxInflight))
	}
	for _, header := range slices.Sorted(maps.Keys(s.Headers)) {
		switch {
		case !headerName.MatchString(header):
			wrong(key+".headers."+header, "must be the name of an HTTP header")
		case strings.EqualFold(header, "Authorization") && !s.Token.IsZero():
			wrong(key+".headers."+header, "must be left out beside token, which is sent in it")
		}
	}
}

func (s *Settings) checkHTTPServices(wrong report) {
	for _, name := range slices.Sorted(maps.Keys(s.HTTPServices)) {
		s.HTTPServices[name].check("http_services", name, wrong)
		if _, both := s.Subprocesses[name]; both {
			wrong("http_services."+name, "must be left out: subprocesses has it too")
		}
	}
}
