package httpservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
)

const (
	// describeEach is how often the service is asked whether it has changed.
	describeEach    = time.Minute
	describeTimeout = 10 * time.Second
	firstAgain      = 500 * time.Millisecond
)

// errSilent ends a question for the service's description.
var errSilent = fmt.Errorf("it has not answered GET within %v; answer 404 to have no description", describeTimeout)

// run asks the service what it has until ctx ends.
func (s *Service) run(ctx context.Context, at processor.Cluster) error {
	defer s.client.CloseIdleConnections()
	var last []byte
	for again := firstAgain; ctx.Err() == nil; {
		said, err := s.ask(ctx)
		if err == nil && (!s.isDescribed() || !bytes.Equal(said, last)) {
			err = s.describe(at, said)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.undescribed(err)
			pace.Sleep(ctx, again)
			again = min(2*again, describeEach)
		default:
			last, again = said, firstAgain
			pace.Sleep(ctx, describeEach)
		}
	}
	return nil
}

func (s *Service) isDescribed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.described && s.why == ""
}

// undescribed notes why the service's description cannot be had. What is known of it stays.
func (s *Service) undescribed(err error) {
	s.mu.Lock()
	news := s.why != err.Error()
	s.why = err.Error()
	s.mu.Unlock()
	if news {
		s.config.Logger.Warn("an HTTP service does not say what it has; it is asked again", "error", err)
	}
}

// ask is what the service says of itself, nil if it does not describe itself.
func (s *Service) ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, describeTimeout, errSilent)
	defer cancel()
	request, err := s.request(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.unanswered(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	status := response.StatusCode
	switch {
	case status == http.StatusOK && mediaType(response) == typeJSON:
	case status/100 == 2, status == http.StatusNotImplemented,
		status/100 == 4 && !again(status) && status != http.StatusUnauthorized && status != http.StatusForbidden:
		return nil, nil // it is not made to be read
	default:
		return nil, errors.New(s.refusal(response, nil))
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, message.MaxLine+1))
	switch {
	case err != nil:
		return nil, s.unanswered(ctx, err)
	case len(said) > message.MaxLine:
		return nil, errors.New("its description has more than 1 MiB; describe fewer tasks")
	}
	return said, nil
}

// describe takes in what the service says of itself.
func (s *Service) describe(at processor.Cluster, said []byte) error {
	var d *message.Description
	most := s.config.MaxInflight
	if said != nil {
		m, err := message.Parse(said)
		if err != nil || m.Type != message.Ready {
			return fmt.Errorf("it answers GET with JSON that is no ready message: %.80q; "+
				"answer 404 to have no description", said)
		}
		if d, err = m.Description(); err != nil {
			return err //nolint:wrapcheck // it says all
		}
		if most == 0 {
			most = d.MaxInflight
		}
	}
	described := processor.Description{Generic: true}
	if d != nil {
		described = d.Description
	}
	if err := at.Describe(described); err != nil {
		return fmt.Errorf("its description: %w", err)
	}
	at.SetMaxRunning(most)
	s.mu.Lock()
	s.described, s.known, s.why = true, d, ""
	s.mu.Unlock()
	s.config.Logger.Info("an HTTP service is there", "tasks", len(described.Schemas), "any_other", described.Generic,
		"max_inflight", most)
	return nil
}
