package providertest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// call is one request being answered.
type call struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	record  *Request
	request map[string]any
	model   string
	said    string // the last text of the request
	stream  bool
	written int64
}

// protocol writes an answer the way a provider does.
type protocol interface {
	head() []byte                    // of a stream
	piece(i int, text string) []byte // of a stream
	tail() []byte                    // of a stream, its end mark included
	whole() any                      // the answer to a call without a stream
	// failure is an error by HTTP.
	failure(status int, code, message string) any
	// failed is an error in mid-stream.
	failed(status int, code, message string) []byte
}

// errGone: the client closed the connection.
var errGone = fmt.Errorf("the client has gone")

// answer plays an answer by a protocol.
func (c *call) answer(a Answer, speak func(a Answer) protocol) {
	a = a.complete(c)
	how := "answered"
	defer func() {
		c.server.end(c, how)
		if how == "cut" {
			panic(http.ErrAbortHandler)
		}
	}()
	if err := c.wait(a.FirstDelayMS); err != nil {
		how = "gone"
		return
	}
	cut, err := c.play(a, speak(a))
	switch {
	case err != nil:
		how = "gone"
	case cut:
		how = "cut"
	}
}

// play reports whether the connection is to be cut.
func (c *call) play(a Answer, p protocol) (cut bool, err error) {
	if a.EchoSecrets {
		a.Message += " " + c.everything()
	}
	switch {
	case a.End == EndCut && a.EndAfter < 0:
		return true, nil
	case a.Gate != "" && a.HoldAfter == 0 && !c.server.hold(c.r.Context(), a.Gate):
		return false, errGone
	case a.Status != 0 && a.FailAfter == 0:
		return false, c.refuse(a, p)
	}
	if !c.stream {
		return c.playWhole(a, p)
	}
	c.header(a, "text/event-stream", http.StatusOK)
	if err := c.send(p.head()); err != nil {
		return false, err
	}
	return c.playStream(a, p)
}

func (c *call) playStream(a Answer, p protocol) (cut bool, err error) {
	for i := 0; ; i++ {
		if a.Gate != "" && a.HoldAfter == i && i > 0 && !c.server.hold(c.r.Context(), a.Gate) {
			return false, errGone
		}
		switch {
		case a.Status != 0 && a.FailAfter == i:
			return false, c.send(p.failed(a.Status, a.Code, a.Message))
		case a.MalformedAfter < 0 || a.MalformedAfter == i && i > 0:
			return false, c.send([]byte("data: {\"type\": \"respo\n\n"))
		case a.End != EndMarked && (a.EndAfter == i && i > 0 || a.EndAfter < 0 || a.EndAfter == 0 && i == len(a.Pieces)):
			return a.End == EndCut, nil
		}
		if a.Endless != "" {
			err := c.sendEndless(a, p, i)
			if err != nil {
				return false, err
			}
			continue
		}
		if i == len(a.Pieces) {
			return false, c.send(p.tail())
		}
		if err := c.wait(a.PieceDelayMS); err != nil {
			return false, err
		}
		if err := c.send(p.piece(i, a.Pieces[i])); err != nil {
			return false, err
		}
	}
}

// sendEndless sends the next part of what never ends.
func (c *call) sendEndless(a Answer, p protocol, i int) error {
	filler := strings.Repeat("lorem ipsum ", 1000)
	switch a.Endless {
	case EndlessLine, EndlessBody:
		if i == 0 {
			filler = "data: {\"type\": \"" + filler
		}
		return c.send([]byte(filler))
	case EndlessEvent:
		return c.send([]byte("data: " + filler + "\n"))
	case EndlessComments:
		return c.send([]byte(": " + filler + "\n\n"))
	default:
		if err := c.wait(a.PieceDelayMS); err != nil {
			return err
		}
		return c.send(p.piece(i, a.Pieces[i%len(a.Pieces)]))
	}
}

func (c *call) playWhole(a Answer, p protocol) (cut bool, err error) {
	body, err := json.Marshal(p.whole(), json.Deterministic(true))
	if err != nil {
		return false, fmt.Errorf("encode answer: %w", err)
	}
	if a.MalformedAfter != 0 {
		body = body[:len(body)/2]
	}
	c.header(a, "application/json", http.StatusOK)
	if a.Endless != "" {
		for i := 0; ; i++ {
			if err := c.send([]byte(strings.Repeat("{\"more\": [", 1000))); err != nil {
				return false, err
			}
		}
	}
	if a.End != EndMarked {
		return a.End == EndCut, c.send(body[:len(body)/2])
	}
	return false, c.send(body)
}

// refuse answers with an error by HTTP.
func (c *call) refuse(a Answer, p protocol) error {
	body := []byte(a.Body)
	if a.Body == "" {
		var err error
		body, err = json.Marshal(p.failure(a.Status, a.Code, a.Message), json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("encode failure: %w", err)
		}
	}
	c.header(a, "application/json", a.Status)
	return c.send(body)
}

func (c *call) header(a Answer, contentType string, status int) {
	if a.ContentType != "" {
		contentType = a.ContentType
	}
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Request-Id", "req_fake")
	for name, value := range a.Header {
		h.Set(name, value)
	}
	c.w.WriteHeader(status)
}

func (c *call) send(b []byte) error {
	n, err := c.w.Write(b)
	c.written += int64(n)
	if err == nil {
		err = http.NewResponseController(c.w).Flush()
	}
	if err != nil || c.r.Context().Err() != nil {
		return errGone
	}
	return nil
}

func (c *call) wait(ms int) error {
	if ms == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), time.Duration(ms)*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if c.r.Context().Err() != nil {
		return errGone
	}
	return nil
}

// everything the request brought, as a careless provider might repeat it.
func (c *call) everything() string {
	all := c.r.Method + " " + c.r.URL.String()
	for name, values := range c.r.Header {
		all += " " + name + ": " + strings.Join(values, ",")
	}
	if user, password, ok := c.r.BasicAuth(); ok {
		all += " " + user + ":" + password + " " + url.UserPassword(user, password).String()
	}
	return all
}

// sse is one event of a stream.
func sse(event string, data any) []byte {
	b, err := json.Marshal(data, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("encode event: %v", err)) // maps of plain values always encode
	}
	line := "data: " + string(b) + "\n\n"
	if event != "" {
		line = "event: " + event + "\n" + line
	}
	return []byte(line)
}

// stringOf is a string of a decoded document, "" if it is something else.
func stringOf(v any) string {
	s, _ := v.(string)
	return s
}

// keyOf is the key a request was sent with, in any of the places there are.
func keyOf(r *http.Request) string {
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return key
	}
	for _, name := range []string{"X-Api-Key", "X-Goog-Api-Key"} {
		if key := r.Header.Get(name); key != "" {
			return key
		}
	}
	return ""
}

// lastText is the last text in a request: its prompt, or the last message's.
func lastText(request map[string]any) string {
	for _, name := range []string{"input", "messages", "contents", "prompt", "instances", "content"} {
		if text := lastIn(request[name]); text != "" {
			return text
		}
	}
	return ""
}

func lastIn(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		for i := len(v) - 1; i >= 0; i-- {
			if text := lastIn(v[i]); text != "" {
				return text
			}
		}
	case map[string]any:
		for _, name := range []string{"content", "parts", "text", "prompt"} {
			if text := lastIn(v[name]); text != "" {
				return text
			}
		}
	}
	return ""
}
