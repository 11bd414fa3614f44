package producer

import (
	"errors"
)

// readiness is why tasks cannot be submitted and found, nil if they can.
func (p *Producer) readiness() error {
	if reason := p.unready(); reason != "" {
		return errors.New(reason)
	}
	return nil
}

func (p *Producer) unready() string {
	if p.api.Draining() {
		return "the server is shutting down"
	}
	if err := p.listener.Refusing(); err != nil {
		return err.Error()
	}
	for _, healthy := range p.config.Health {
		if err := healthy(); err != nil {
			return err.Error()
		}
	}
	if !p.lanes.Reachable() {
		return "no Kafka broker answers; check that the brokers run and the address is right"
	}
	if reason := p.deaf(); reason != "" {
		return reason
	}
	switch {
	case !p.auth.IsReady():
		return "the keys that tokens are checked with cannot be had; see --auth-jwks-url"
	case p.caughtUp():
		return ""
	case p.view.Positions() == nil:
		return "the topics are not there yet, or the task view cannot be opened; create them with: tasklane topics ensure"
	}
	return "the task view is reading the log"
}

// deaf is what of the log cannot be read or written now.
func (p *Producer) deaf() string {
	for _, part := range []struct {
		fails   string
		healthy func() error
	}{
		{"tasks cannot be written", p.lanes.writer.Healthy},
		{"tasks and events cannot be read", p.view.Healthy},
		{"controls cannot be read", p.controls.Healthy},
		{"controls cannot be written", p.controlWriter.Healthy},
	} {
		if err := part.healthy(); err != nil {
			return part.fails + ": " + err.Error()
		}
	}
	return ""
}

// caughtUp reports whether the view has read what was in the log when it
// started.
func (p *Producer) caughtUp() bool {
	select {
	case <-p.view.Ready():
		return true
	default:
		return false
	}
}
