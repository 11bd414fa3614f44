package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Subprocess is a service that runs in processes of any language.
type Subprocess struct {
	// Command is the program and its arguments, with quotes around those that have spaces: no shell sees it.
	Command string `yaml:"command"`
	// Children is how many processes there are; GPUs has one for each of those instead.
	Children int      `yaml:"children"`
	GPUs     []string `yaml:"gpus"`
	// MaxTasks and MaxMemory are when a child is replaced.
	MaxTasks  int   `yaml:"max_tasks"`
	MaxMemory Bytes `yaml:"max_memory"`
	// InitTimeout is how long a child may take until it is ready, StopTimeout until it has ended.
	InitTimeout time.Duration `yaml:"init_timeout"`
	StopTimeout time.Duration `yaml:"stop_timeout"`
	// Env are names of variables that children are given, or NAME=value.
	Env []string `yaml:"env"`
}

// WantSubprocess is how a subprocess is written on a command line.
const WantSubprocess = "MODE/NAME=COMMAND;OPTION=VALUE;…, " +
	"for example 'media/ocr=python3 ocr.py;children=2;max_tasks=1000;max_memory=512MiB'"

// ParseSubprocess reads a subprocess as it is written on a command line, with its name.
func ParseSubprocess(text string) (name string, s Subprocess, err error) {
	written := writtenService{want: WantSubprocess, list: "subprocesses"}
	name, s.Command, err = written.read(text, s.set)
	if err == nil {
		err = written.check(name, s.check)
	}
	if err != nil {
		return "", Subprocess{}, err
	}
	return name, s, nil
}

// set takes an option; the problem is "" if nothing is wrong.
func (s *Subprocess) set(key, value string) (problem string) {
	switch key {
	case "children":
		return parseCount(value, &s.Children)
	case "max_tasks":
		return parseCount(value, &s.MaxTasks)
	case "max_memory":
		return s.MaxMemory.parse(value)
	case "init_timeout":
		s.InitTimeout, problem = parseDuration(value)
		return problem
	case "stop_timeout":
		s.StopTimeout, problem = parseDuration(value)
		return problem
	case "env":
		s.Env = append(s.Env, strings.Split(value, ",")...)
		return ""
	case "gpus":
		s.GPUs = append(s.GPUs, strings.Split(value, ",")...)
		return ""
	}
	return unknownOption(key, "children", "env", "gpus", "init_timeout", "max_memory", "max_tasks", "stop_timeout")
}

// withoutValues are variables as they may be shown: a value may be a secret.
func withoutValues(variables []string) (shown []string) {
	for _, variable := range variables {
		if name, _, given := strings.Cut(variable, "="); given {
			variable = name + "=" + hidden
		}
		shown = append(shown, variable)
	}
	return shown
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,200}(=.*)?$`)

const maxChildren = 256

func (s Subprocess) check(below, name string, wrong report) {
	key := below + "." + name
	if !serviceName.MatchString(name) {
		wrong(key, "must be mode/name, for example media/ocr")
	}
	if _, err := SplitCommand(s.Command); err != nil {
		wrong(key+".command", err.Error())
	}
	if s.Children > maxChildren {
		wrong(key+".children", fmt.Sprintf("must be at most %d", maxChildren))
	}
	if len(s.GPUs) > 0 && s.Children > 0 && s.Children != len(s.GPUs) {
		wrong(key+".children", "must be left out beside gpus: each of those has one child")
	}
	for i, gpu := range s.GPUs {
		if gpu == "" || strings.ContainsAny(gpu, " \t\x00") {
			wrong(fmt.Sprintf("%s.gpus[%d]", key, i), "must be the number or the UUID of a GPU")
		}
	}
	for i, variable := range s.Env {
		if !variableName.MatchString(variable) {
			wrong(fmt.Sprintf("%s.env[%d]", key, i), "must be the name of a variable, or NAME=value")
		}
		if strings.HasSuffix(variable, "="+hidden) {
			wrong(fmt.Sprintf("%s.env[%d]", key, i), hidden+" stands for a value that was not printed; write the value")
		}
	}
}

func (s *Settings) checkSubprocesses(wrong report) {
	for _, name := range slices.Sorted(maps.Keys(s.Subprocesses)) {
		s.Subprocesses[name].check("subprocesses", name, wrong)
	}
}

// SplitCommand splits a command at its spaces, but for those in quotes. A backslash takes the next character as it is,
// but for those in single quotes.
func SplitCommand(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote, escaped := false, rune(0), false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case r == 0:
			return nil, errors.New("must not have a byte 0")
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	switch {
	case quote != 0 || escaped:
		return nil, errors.New("must end the quotes that it begins")
	case inWord:
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("must be given: the program and its arguments")
	}
	return words, nil
}
