package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/aiecs/tasklane/scripts/program"
)

// system is the model's server and Tasklane, each role in a process of its own.
type system struct {
	config    *config
	provider  string // base URLs
	api       string
	client    *http.Client
	processes []process
}

type process struct {
	name string
	*program.Process
}

// start starts everything and waits until it serves.
func (c *config) start(ctx context.Context) (s *system, err error) {
	free, err := program.FreeAddresses(ctx, c.dir, 3)
	if err != nil {
		return nil, err
	}
	s = &system{config: c, provider: "http://" + free[0], api: "http://" + free[1],
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.streams}}}
	defer func() {
		if err != nil {
			s.kill()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if err := s.launch(ctx, self, "model", "-provider", free[0]); err != nil {
		return nil, err
	}
	if err := c.script(ctx, s.provider); err != nil {
		return nil, err
	}
	settings := filepath.Join(c.dir, "tasklane.yaml")
	text := fmt.Sprintf("providers:\n  openai: {base_url: %q, api_key: any}\n", s.provider+"/v1")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write tasklane.yaml: %w", err)
	}
	brokers := c.brokers
	if brokers == "" {
		brokers = free[2]
		if err := s.role(ctx, "broker", "--broker-addr", brokers); err != nil {
			return nil, err
		}
	}
	common := []string{"--brokers", brokers, "--config", settings, "--topic-prefix",
		fmt.Sprintf("streams-%d.", os.Getpid())}
	// Background requests go to the heavy lane.
	slots := []string{"--lanes", fmt.Sprint("heavy=", c.streams), "--metrics-addr", "127.0.0.1:0"}
	if err := s.role(ctx, "processor", slices.Concat(common, slots)...); err != nil {
		return nil, err
	}
	return s, s.role(ctx, "producer", slices.Concat(common, []string{"--api-addr", free[1]})...)
}

// role starts a role of Tasklane.
func (s *system) role(ctx context.Context, name string, more ...string) error {
	args := append([]string{name, "--data-dir", filepath.Join(s.config.dir, name), "--log-format", "json"}, more...)
	return s.launch(ctx, s.config.binary, name, args...)
}

func (s *system) launch(ctx context.Context, binary, name string, args ...string) error {
	p, err := program.Launch(binary, name, filepath.Join(s.config.dir, name+".log"), args...)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, process{name, p})
	return p.WaitReady(ctx)
}

// kill ends what was started, the last first.
func (s *system) kill() {
	for n := range s.processes {
		s.processes[len(s.processes)-1-n].Kill()
	}
	s.processes = nil
}
