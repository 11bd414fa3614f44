package definitions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Bounds of a service's definition.
const (
	// MaxServiceBytes is the longest record.
	MaxServiceBytes = 512 << 10
	maxNameBytes    = 1024
	maxTasks        = 1000
)

// KindService is the kind of the records of services in task-definitions.
const KindService = "service"

// Service is what one processor offers under a mode and a name: a record of
// task-definitions.
type Service struct {
	Kind        string `json:"kind"`
	Mode        string `json:"mode"`
	Name        string `json:"name"`
	Version     string `json:"version,omitzero"`
	Description string `json:"description,omitzero"`
	// Tasks are those that are known by name, in the order of their names.
	Tasks []Task `json:"tasks"`
	// Generic says that any other task name is taken too.
	Generic bool `json:"generic,omitzero"`
	// Lanes are those from which the processor takes the service's tasks.
	Lanes []string `json:"lanes"`
	// Worker is the processor's instance id, and Since when it began to offer this.
	Worker string       `json:"worker"`
	Since  schemas.Time `json:"since"`
}

// Task is what a task name takes and gives.
type Task struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Input and Result are JSON Schemas of input_data and of the result; nothing if
	// they may be anything.
	Input  jsontext.Value `json:"input,omitzero"`
	Result jsontext.Value `json:"result,omitzero"`
}

// Key is the key of the service's record.
func (s *Service) Key() string {
	return strings.Join([]string{KindService, s.Mode, s.Name, s.Worker}, "/")
}

// isService reports whether a key is that of a service's record: other kinds of
// definitions share the topic.
func isService(key []byte) bool { return strings.HasPrefix(string(key), KindService+"/") }

// Validate says why the service cannot be published, whoever offers it.
func (s Service) Validate() error {
	s.Kind, s.Worker, s.Since = KindService, "worker", schemas.AtTime(time.Now())
	_, err := s.encode()
	return err
}

// encode is the service's record.
func (s *Service) encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	plain := *s
	plain.Tasks = slices.Clone(s.Tasks)
	for i, task := range plain.Tasks {
		if len(task.Input) == 0 {
			plain.Tasks[i].Input = nil // an empty one is no JSON
		}
		if len(task.Result) == 0 {
			plain.Tasks[i].Result = nil
		}
	}
	value, err := json.Marshal(&plain)
	if err != nil {
		return nil, fmt.Errorf("encode service: %w", err)
	}
	if len(value) > MaxServiceBytes-maxNameBytes {
		return nil, fmt.Errorf("its schemas and descriptions have %d bytes, at most %d can be published", len(value),
			MaxServiceBytes-maxNameBytes)
	}
	return value, nil
}

// input is the schema of a task's input, nothing if it has none.
func (s *Service) input(task string) jsontext.Value {
	for _, t := range s.Tasks {
		if t.Name == task {
			return t.Input
		}
	}
	return nil
}

// decode reads a record of a service.
func decode(key, value []byte) (*Service, error) {
	if len(value) > MaxServiceBytes {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(value), MaxServiceBytes)
	}
	s := new(Service)
	if err := json.Unmarshal(value, s); err != nil {
		return nil, fmt.Errorf("read service: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Key() != string(key) {
		return nil, fmt.Errorf("the record's key is %.200q and has to be %q", key, s.Key())
	}
	return s, nil
}

func (s *Service) check() error {
	for what, text := range map[string]string{"mode": s.Mode, "name": s.Name, "worker": s.Worker} {
		if text == "" || len(text) > maxNameBytes || schemas.CheckPrintable(text) != "" {
			return fmt.Errorf("its %s %.80q is no name", what, text)
		}
	}
	if s.Kind != KindService {
		return fmt.Errorf("its kind is %.80q and has to be %q", s.Kind, KindService)
	}
	if len(s.Version) > maxNameBytes || schemas.CheckPrintable(s.Version) != "" {
		return fmt.Errorf("its version %.80q is none", s.Version)
	}
	if s.Since.IsZero() {
		return errors.New("it does not say since when it is offered")
	}
	if len(s.Tasks) > maxTasks {
		return fmt.Errorf("it has %d tasks, at most %d can be published", len(s.Tasks), maxTasks)
	}
	for i, task := range s.Tasks {
		if task.Name == "" || len(task.Name) > maxNameBytes {
			return fmt.Errorf("its task %d has no usable name", i)
		}
		if slices.ContainsFunc(s.Tasks[:i], func(t Task) bool { return t.Name == task.Name }) {
			return fmt.Errorf("its task %.80q is there twice", task.Name)
		}
	}
	return nil
}
