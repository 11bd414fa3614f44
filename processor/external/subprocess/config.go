package subprocess

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config is a service that runs in children.
type Config struct {
	Mode, Name string
	// Command is the program and its arguments, without a shell.
	Command []string
	// Children is how many there are, 1 if not given; GPUs are given one child each instead.
	Children int
	GPUs     []string
	// MaxTasks is after how many tasks a child is replaced, and up to a fifth more; 0 is never.
	MaxTasks int
	// MaxMemory is how many bytes a child's process group may have resident before it is replaced; at twice as many it
	// is killed. 0 is no bound.
	MaxMemory int64
	// InitTimeout is how long a child may take until it is ready, 5 minutes if not given; StopTimeout how long one has to
	// end when it is told to, 10 seconds.
	InitTimeout, StopTimeout time.Duration
	// Env are names of variables that children have as the processor has them, or NAME=value.
	Env []string
	// Lookup reads the processor's environment.
	Lookup func(name string) (value string, ok bool)
	Logger *slog.Logger
}

// Bounds of a configuration.
const (
	MaxChildren        = 256
	defaultInitTimeout = 5 * time.Minute
	defaultStopTimeout = 10 * time.Second
)

func (c *Config) setDefaults() {
	if c.Children == 0 {
		c.Children = 1
	}
	if len(c.GPUs) > 0 {
		c.Children = len(c.GPUs)
	}
	if c.InitTimeout == 0 {
		c.InitTimeout = defaultInitTimeout
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = defaultStopTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Lookup == nil {
		c.Lookup = func(string) (string, bool) { return "", false }
	}
}

func (c *Config) validate() error {
	switch {
	case c.Mode == "" || c.Name == "":
		return errors.New("a service needs a mode and a name")
	case len(c.Command) == 0 || c.Command[0] == "":
		return errors.New("there is no command")
	case c.Children < 0 || c.Children > MaxChildren:
		return fmt.Errorf("%d children; there may be 1 to %d", c.Children, MaxChildren)
	case c.MaxTasks < 0 || c.MaxMemory < 0 || c.InitTimeout < 0 || c.StopTimeout < 0:
		return errors.New("a bound must not be negative; 0 is the default")
	}
	return checkPlatform()
}
