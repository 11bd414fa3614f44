package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/security"
	"github.com/aiecs/tasklane/internal/secretfile"
	"github.com/aiecs/tasklane/internal/webhooks"
	"github.com/aiecs/tasklane/processor/external/remote"
)

// wiring makes the parts of a group out of the settings. What a part needs of
// an earlier one (an address) is looked up when it is built.
type wiring struct {
	*settings
	config     *config.Settings // tasklane.yaml and what wins over it
	environ    environment
	log        *slog.Logger
	security   *security.Security // nil without TLS and SASL
	brokerRole *broker.Broker     // nil with a Kafka of one's own
	api        string             // address of the API, once it is ready
	notifier   string
	metrics    string
	workers    string         // "" without remote workers
	remote     *remote.Server // once a part has asked for it; nil without remote workers
	// meters write the metrics of the parts that run in this process beside the
	// API.
	meters []func(io.Writer)
	// health is what has come to a halt in them, for the API's /readyz.
	health []func() error
	// warnings are what is not as it should be although they run, for the same.
	warnings []func() []string
	// webhooks is the part that posts them, nil where they are off.
	webhooks *webhooks.Dispatcher
	// artifacts is the store of files once a part has asked for it.
	artifacts *artifact.Store
	// connections are how many each listener takes at a time.
	connections connections
}

// wire makes the wiring of a command that talks to Kafka.
func (a *app) wire(s *settings) (*wiring, error) {
	security, err := s.kafkaSecurity.use(s.brokers, a.Log)
	if err != nil {
		return nil, err
	}
	a.warnOfLoose(append(slices.Clone(s.auth.SecretFiles), s.auth.ticketSecretFile, s.webhookSecretFile)...)
	environ := newEnvironment(a.environ)
	settings, err := s.configFile.Load(environ.lookup, a.Log)
	if err != nil {
		return nil, err
	}
	if settings.Artifacts, err = s.artifacts(settings.Artifacts); err != nil {
		return nil, err
	}
	return &wiring{settings: s, config: settings, environ: environ, log: a.Log, security: security}, nil
}

// warnOfLoose warns of files with secrets that others can read.
func (a *app) warnOfLoose(paths ...string) {
	for _, path := range paths {
		if warning := secretfile.Loose(path); path != "" && warning != "" {
			a.Log.Warn(warning)
		}
	}
}

func (w *wiring) logger(part string) *slog.Logger { return w.log.With("part", part) }

func (w *wiring) kafka(part string) kafka.Config {
	return kafka.Config{Brokers: w.brokers, ClientID: "tasklane-" + part, Security: w.security, Logger: w.logger(part)}
}

// locatedRole tells its address as soon as it is ready, before anybody who
// waits for that.
type locatedRole struct {
	role
	ready chan struct{}
	tell  func()
}

func (w *wiring) located(r role, tell func()) role {
	return &locatedRole{role: r, ready: make(chan struct{}), tell: tell}
}

// Ready is closed once the address is told.
func (l *locatedRole) Ready() <-chan struct{} { return l.ready }

// Run runs the role.
func (l *locatedRole) Run(ctx context.Context) error {
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-l.role.Ready():
			l.tell()
			close(l.ready)
		case <-ended:
		}
	}()
	err := l.role.Run(ctx)
	close(ended)
	<-told
	return err //nolint:wrapcheck // the group says which part it was
}

// announce prints the one line that says where things are.
func (a *app) announce(places ...string) error {
	if _, err := fmt.Fprintln(a.Stdout, "ready", strings.Join(places, " ")); err != nil {
		return fmt.Errorf("print readiness: %w", err)
	}
	return nil
}
