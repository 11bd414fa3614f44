package httpservice

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/processor/provider/transport"
	"github.com/aiecs/tasklane/schemas"
)

// Service asks a server to run tasks.
type Service struct {
	config  Config
	host    string
	client  *http.Client
	secrets []string

	mu        sync.Mutex
	described bool                 // it is known whether the service describes itself
	known     *message.Description // nil if it does not
	why       string               // why its description cannot be had, "" if it can
	since     time.Time            // when it was first asked for a description that it has not given yet
	closed    time.Time            // it is given no task until then
	closedBy  string               // what it said
	pause     time.Duration        // the last that was taken without the service saying for how long
}

// keepAlive is how often a silent HTTP/2 connection is asked whether it is there. With HTTP/1 the system does so.
const keepAlive = 15 * time.Second

// New makes a service that asks nothing yet: see [Service.Service].
func New(c Config) (*Service, error) {
	c.setDefaults()
	at, err := c.validate()
	if err != nil {
		return nil, fmt.Errorf("HTTP service %s/%s: %w", c.Mode, c.Name, err)
	}
	c.Logger = c.Logger.With("service", c.Mode+"/"+c.Name)
	guard := ssrf.New(ssrf.Config{
		Allow: c.allowed(at.Hostname()), Option: "http_services." + c.Mode + "/" + c.Name + ".allow",
		DialTimeout: c.ConnectTimeout, Lookup: c.lookup,
	})
	t := guard.Transport()
	t.DisableCompression = true // an answer must not unfold
	t.MaxIdleConnsPerHost = t.MaxIdleConns
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: keepAlive}
	client := &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s := &Service{config: c, host: at.Host, client: client, since: time.Now()}
	for _, value := range c.Headers {
		s.secrets = append(s.secrets, value)
		if _, key, two := strings.Cut(value, " "); two {
			s.secrets = append(s.secrets, key) // of "Bearer KEY"
		}
	}
	return s, nil
}

// Service is the service as processors have it. It is described as long as its Background runs.
func (s *Service) Service() processor.Service {
	return processor.Service{
		Mode: s.config.Mode, Name: s.config.Name, Description: "is asked over HTTP at " + s.host,
		Execute: s.execute, Admit: s.admit, Background: s.run, Warnings: s.warnings,
	}
}

// execute is the handler of every task.
func (s *Service) execute(ctx context.Context, c *processor.Context) (any, error) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if err := known.Check(c); err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	id := rand.Text()
	body, err := known.Assign(id, c).Encode()
	if err != nil {
		return nil, fmt.Errorf("ask service: %w", err)
	}
	request, err := s.request(ctx, http.MethodPost, body)
	if err != nil {
		return nil, err
	}
	if trace := c.Traceparent(); trace != "" {
		request.Header.Set("Traceparent", trace)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.unanswered(ctx, err)
	}
	defer func() { _ = response.Body.Close() }() // what it has not said by now is nothing
	a := &answer{service: s, response: response, id: id, attempt: message.Attempt{Context: c}}
	return a.hear(ctx)
}

// request is a request to the service, for a task if it has a body.
func (s *Service) request(ctx context.Context, method string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask service: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.config.Headers)) {
		request.Header.Set(name, s.config.Headers[name])
	}
	request.Header.Set("User-Agent", "Tasklane/1")
	request.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/x-ndjson, text/event-stream, application/json")
	}
	return request, nil
}

// clean is a text of the service without secrets.
func (s *Service) clean(text string) string { return transport.Clean(text, s.secrets...) }

// Bounds of how long a task waits before it asks again for a service that has not answered yet.
const (
	minAsk = 50 * time.Millisecond
	maxAsk = 30 * time.Second
)

// admit implements [processor.Admit]: tasks wait until the service has said what it has, and while it says that it is
// asked too much.
func (s *Service) admit(*schemas.Task) (processor.Grant, *processor.Wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case !s.described:
		ask := max(min(now.Sub(s.since), maxAsk), minAsk)
		return nil, s.wait(schemas.WaitService, now.Add(ask), "it has not said yet what it has"+s.reason())
	case now.Before(s.closed):
		return nil, s.wait(schemas.WaitLimit, s.closed, s.closedBy)
	}
	return nil, nil
}

// reason is why the service's description cannot be had. Called under the lock.
func (s *Service) reason() string {
	if s.why == "" {
		return ""
	}
	return ": " + s.why
}

func (s *Service) wait(what string, until time.Time, reason string) *processor.Wait {
	return &processor.Wait{For: what, Until: until, Name: "service/" + s.config.Mode + "/" + s.config.Name, Reason: reason}
}

// warnings are what is not as it should be with the service.
func (s *Service) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		return nil
	}
	return []string{"service " + s.config.Mode + "/" + s.config.Name + ": " + s.why}
}

// Pauses after a service has said that it is asked too much, and not for how long.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// close gives the service no task for so long; 0 leaves it to the service's earlier answers. It returns until when.
func (s *Service) close(after time.Duration, by string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after <= 0 {
		if time.Now().After(s.closed) { // those that were asked together count once
			s.pause = min(max(2*s.pause, firstPause), longestPause)
		}
		after = s.pause
	}
	if until := time.Now().Add(after); until.After(s.closed) {
		s.closed, s.closedBy = until, by
	}
	return s.closed
}

// works notes that the service has taken a task.
func (s *Service) works() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause = 0
}
