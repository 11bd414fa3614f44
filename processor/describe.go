package processor

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// TaskSchema describes what a task takes and gives.
type TaskSchema struct {
	// Input and Result are JSON Schemas (2020-12) of input_data and of the result, that
	// refer to nothing outside of themselves. Empty ones are of anything.
	Input, Result jsontext.Value
	// Description says what the task does.
	Description string
	// SoftTimeLimit and TimeLimit are for tasks of the name that give none; 0 takes those of the service.
	SoftTimeLimit, TimeLimit time.Duration
	// MaxAttempts is how many attempts may fail, for tasks of the name that do not say so; 0 takes the service's.
	MaxAttempts int
}

// described is what a service's schemas say, ready for use.
type described struct {
	inputs map[string]*definitions.Schema
	limits map[string]limits // of tasks that have some of their own
	retry  map[string]int    // how many attempts may fail, likewise
}

// Describe derives a task's schemas from the types of its [Method]. Examples are of
// input_data, as JSON; the first is shown to who sent wrong input. Two tags say more of a
// member of In: doc describes it, schema has constraints:
//
//	Text  string `json:"text" doc:"The text." schema:"required,minLength=1"`
//	Count *int   `json:"count" schema:"minimum=1,maximum=20"`
//	Style string `json:"style" schema:"enum=short|long"`
func Describe[In, Out any](description string, examples ...string) TaskSchema {
	return TaskSchema{
		Input:       definitions.InputSchema(reflect.TypeFor[In](), examples...),
		Result:      definitions.ResultSchema(reflect.TypeFor[Out]()),
		Description: description,
	}
}

// described makes the schemas of a service ready, and refuses those that are none or
// of tasks that it does not have.
func (s Service) described() (*described, error) {
	found := &described{inputs: map[string]*definitions.Schema{}, limits: map[string]limits{}, retry: map[string]int{}}
	for _, name := range slices.Sorted(maps.Keys(s.Schemas)) {
		if _, method := s.Methods[name]; name == "" || !method && s.Execute == nil {
			return nil, fmt.Errorf("it has a schema of a task %q, which it does not have", name)
		}
		if _, err := definitions.Compile(s.Schemas[name].Result); err != nil {
			return nil, fmt.Errorf("the result of its task %q: %w", name, err)
		}
		input, err := definitions.Compile(s.Schemas[name].Input)
		if err != nil {
			return nil, fmt.Errorf("the input of its task %q: %w", name, err)
		}
		if input != nil {
			found.inputs[name] = input
		}
		own := limits{soft: s.Schemas[name].SoftTimeLimit, hard: s.Schemas[name].TimeLimit}
		if err := own.validate(); err != nil {
			return nil, fmt.Errorf("its task %q: %w", name, err)
		}
		if own != (limits{}) {
			found.limits[name] = own
		}
		switch most := s.Schemas[name].MaxAttempts; {
		case most < 0:
			return nil, fmt.Errorf("its task %q: attempts must not be negative", name)
		case most > 0:
			found.retry[name] = most
		}
	}
	definition := s.definition()
	if err := definition.Validate(); err != nil {
		return nil, fmt.Errorf("describe it: %w", err)
	}
	return found, nil
}

// checkInput is an *[InputError] for a task whose input does not suit its schema.
func (r *Registry) checkInput(t *schemas.Task) error {
	found := r.described[serviceKey{t.Mode, t.Service}]
	if found == nil {
		return nil
	}
	err := found.Load().inputs[t.TaskName].Check(t.InputData)
	if err == nil {
		return nil
	}
	return &InputError{Member: err.Field("input_data"), Problem: err.Problem}
}

// definition is the service as it is published.
func (s Service) definition() definitions.Service {
	d := definitions.Service{
		Mode: s.Mode, Name: s.Name, Version: s.Version, Description: s.Description, Generic: s.Execute != nil,
	}
	names := map[string]bool{}
	for name := range s.Methods {
		names[name] = true
	}
	for name := range s.Schemas {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		schema := s.Schemas[name]
		d.Tasks = append(d.Tasks, definitions.Task{
			Name: name, Description: schema.Description, Input: schema.Input, Result: schema.Result,
		})
	}
	return d
}

// definitions are all services as they are published, in the order of their names.
func (r *Registry) definitions() []definitions.Service {
	all := make([]definitions.Service, 0, len(r.services))
	for _, s := range r.services {
		all = append(all, s.definition())
	}
	slices.SortFunc(all, func(a, b definitions.Service) int {
		return slices.Compare([]string{a.Mode, a.Name}, []string{b.Mode, b.Name})
	})
	return all
}

// newPublisher publishes what the registry has.
func newPublisher(c *Config) (*definitions.Publisher, error) {
	var lanes []string
	for _, lane := range c.Lanes {
		lanes = append(lanes, lane.Name)
	}
	return definitions.NewPublisher(definitions.PublisherConfig{
		Kafka: c.Kafka, Topics: c.Topics, Services: c.Registry.definitions(), Worker: c.WorkerID, Lanes: lanes,
		Logger: c.Logger,
	})
}

// Cluster is where a processor's topics are, and how a service tells the processor what it has learned of itself since
// it was registered.
type Cluster struct {
	Kafka  kafka.Config
	Topics schemas.Topics

	processor *Processor // nil in a test of a service
	service   serviceKey
}

// Description is what a service finds out to have while it runs.
type Description struct {
	Version string
	// Schemas are those of its tasks by name; Generic says that it takes any other name too.
	Schemas map[string]TaskSchema
	Generic bool
}

// Describe publishes what the service has, in the place of what was published before; input is checked by it from now
// on. The service's Execute is given what it describes.
func (c Cluster) Describe(d Description) error {
	if c.processor == nil {
		return nil
	}
	r := c.processor.config.Registry
	s := r.services[c.service]
	if s.Execute == nil {
		return errors.New("describe service: it has no Execute")
	}
	s.Version, s.Schemas = d.Version, d.Schemas
	found, err := s.described()
	if err != nil {
		return fmt.Errorf("describe service: %w", err)
	}
	definition := s.definition()
	definition.Generic = d.Generic
	if err := c.processor.services.Replace(definition); err != nil {
		return fmt.Errorf("describe service: %w", err)
	}
	r.described[c.service].Store(found)
	for _, l := range c.processor.lanes {
		l.meter.know(slices.Collect(maps.Keys(d.Schemas)))
	}
	return nil
}

// SetMaxRunning bounds how many of the service's tasks run at once in each lane: the others wait in the queue, without
// a slot. 0 is no bound.
func (c Cluster) SetMaxRunning(most int) {
	if c.processor != nil {
		c.processor.governor.setCap(c.service.mode+"/"+c.service.name, most)
	}
}
