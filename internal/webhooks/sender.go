package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds on what a receiver can make this process hold and do.
const (
	dialTimeout      = 5 * time.Second
	maxAnswerHeader  = 32 << 10
	maxAnswerBytes   = 16 << 10 // read, so that the connection can be used again
	maxReasonBytes   = 1 << 10
	shownAnswerBytes = 200
)

// sender makes the requests.
type sender struct {
	client  *http.Client
	secrets []schemas.WebhookSecret
	timeout time.Duration
}

// newSender makes a client that follows no redirect and goes where the guard lets it.
func newSender(c *Config) *sender {
	guard := ssrf.New(ssrf.Config{Allow: c.Allow, Option: AllowOption, DialTimeout: dialTimeout, Lookup: c.lookup})
	transport := guard.Transport()
	transport.MaxIdleConnsPerHost = c.TargetSlots
	transport.MaxResponseHeaderBytes = maxAnswerHeader
	transport.DisableCompression = true // an answer must not unfold
	return &sender{
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		secrets: c.Secrets, timeout: c.Timeout,
	}
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// answer is what came of one try.
type answer struct {
	status int           // 0 if there was none
	after  time.Duration // what Retry-After asked for
	// reason says what was wrong, "" for nothing.
	reason string
	// final says that another try would end alike, and refused that this is so
	// because of the address.
	final, refused bool
}

// works reports whether the target is well. A receiver that does not like one
// delivery can like the next.
func (a answer) works() bool {
	return a.status != 0 && a.status < 500 && a.status != http.StatusTooManyRequests &&
		a.status != http.StatusRequestTimeout
}

// send makes one try. It takes no longer than the timeout.
func (s *sender) send(ctx context.Context, e *entry, body []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := s.request(ctx, e, body, time.Now())
	if err != nil {
		return answer{reason: "the URL cannot be used: " + short(err.Error()), final: true}
	}
	response, err := s.client.Do(request)
	if err != nil {
		return s.unanswered(err)
	}
	defer response.Body.Close()
	// The status is the answer, whatever becomes of the rest.
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	a := answer{status: response.StatusCode, after: retryAfter(response.Header, time.Now())}
	if a.status < 200 || a.status > 299 {
		a.reason = "answered " + strconv.Itoa(a.status)
		if len(said) > 0 {
			a.reason += ": " + short(string(said[:min(len(said), shownAnswerBytes)]))
		}
		if a.status >= 300 && a.status < 400 {
			a.reason = "answered " + strconv.Itoa(a.status) + "; redirects are not followed"
		}
	}
	return a
}

func (s *sender) request(ctx context.Context, e *entry, body []byte, now time.Time) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// A client would send what stands before the host as basic authentication.
	request.URL.User = nil
	signatures := make([]string, len(s.secrets))
	for i, secret := range s.secrets {
		signatures[i] = secret.Sign(e.id, now, body)
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Tasklane-Webhooks/1")
	h.Set(schemas.WebhookID, e.id)
	h.Set(schemas.WebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(schemas.WebhookSignature, strings.Join(signatures, " "))
	return request, nil
}

// unanswered says why there was no answer, without the URL, which may hold a
// secret.
func (s *sender) unanswered(err error) answer {
	if r := ssrf.Refused(err); r != nil {
		return answer{reason: short(r.Reason), final: true, refused: true}
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return answer{reason: fmt.Sprintf("no answer within %s", s.timeout)}
	}
	return answer{reason: short(err.Error())}
}

// short makes a text fit for a header and a line of a log.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "")
	}
	return text
}
