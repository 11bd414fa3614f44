package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// stream is one answer of the model, and what its reader has of it.
type stream struct {
	prompt string // what the model repeats
	prefix string // what it puts before that

	text        strings.Builder
	next        int // sequence number
	begun       time.Time
	ended       time.Time
	connections int
	refusals    int // 503 among them
}

// newStream has words that no other stream has.
func (c *config) newStream(n int) *stream {
	var prompt strings.Builder
	for word := range c.words() {
		fmt.Fprintf(&prompt, " %d.%d", n, word)
	}
	return &stream{prompt: prompt.String()[1:], prefix: "You said: "}
}

// readDirectly asks the model itself: one connection, since a model's stream that breaks is gone.
func (s *system) readDirectly(ctx context.Context, n int, m *stream) error {
	body, err := json.Marshal(map[string]any{"model": "gpt-5-mini", "input": m.prompt, "stream": true})
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	response, err := post(ctx, s.client, s.provider+"/v1/responses", body)
	if err != nil {
		return fmt.Errorf("stream %d: %w", n, err)
	}
	defer response.Body.Close()
	m.connections++
	return m.read(response)
}

// readThrough has Tasklane ask it, and reads over as many connections as it takes.
func (s *system) readThrough(ctx context.Context, n int, m *stream) error {
	body, err := json.Marshal(map[string]any{"model": "gpt-5-mini", "input": m.prompt, "background": true,
		"user": fmt.Sprint("user-", n)})
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	response, err := post(ctx, s.client, s.api+"/openai/v1/responses", body)
	for ; errors.Is(err, errUnavailable) && ctx.Err() == nil; m.refusals++ {
		program.Pause(ctx, refusalPause)
		response, err = post(ctx, s.client, s.api+"/openai/v1/responses", body)
	}
	if err != nil {
		return fmt.Errorf("stream %d: %w", n, err)
	}
	var created struct{ ID string }
	err = errors.Join(json.NewDecoder(response.Body).Decode(&created), response.Body.Close())
	if err != nil {
		return fmt.Errorf("stream %d: %w", n, err)
	}
	for m.ended.IsZero() {
		within := s.config.reconnect/2 + time.Duration(rand.Int64N(int64(s.config.reconnect)))
		if err := s.connect(ctx, within, m, created.ID); err != nil {
			return fmt.Errorf("stream %d, connection %d: %w", n, m.connections, err)
		}
	}
	return nil
}

// connect reads on from where the last connection has ended, for a while at most.
func (s *system) connect(parent context.Context, within time.Duration, m *stream, id string) error {
	ctx, cancel := context.WithTimeout(parent, within)
	defer cancel()
	url := fmt.Sprintf("%s/openai/v1/responses/%s?stream=true", s.api, id)
	if m.next > 0 {
		url += fmt.Sprint("&starting_after=", m.next-1)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for the stream: %w", err)
	}
	m.connections++
	response, err := do(s.client, request)
	if err == nil {
		err = m.read(response)
		response.Body.Close()
	}
	switch {
	case errors.Is(err, errUnavailable): // it asks to come back, as the SDKs do by themselves
		m.refusals++
		program.Pause(parent, refusalPause)
		return nil
	case ctx.Err() != nil && parent.Err() == nil && !errors.Is(err, errWrong):
		return nil // the end of the connection that was wanted
	}
	return err
}

// refusalPause is how long a client stays away that was refused.
const refusalPause = 500 * time.Millisecond

// errWrong is what no loss of a connection can excuse.
var errWrong = errors.New("the stream is wrong")

// read takes what comes until the answer or the connection ends.
func (m *stream) read(response *http.Response) error {
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil { // what came of a line that was cut is nothing
			return fmt.Errorf("read the stream: %w", err)
		}
		data, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: ")
		if !is {
			continue
		}
		if err := m.take(data); err != nil || !m.ended.IsZero() {
			return err
		}
	}
}

// take holds an event against what has to come next.
func (m *stream) take(data string) error {
	var e struct {
		Type   string `json:"type"`
		Number int    `json:"sequence_number"`
		Delta  string `json:"delta"`
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	if e.Number != m.next {
		return fmt.Errorf("%w: event %d comes where %d belongs", errWrong, e.Number, m.next)
	}
	m.next++
	switch e.Type {
	case "response.output_text.delta":
		if m.begun.IsZero() {
			m.begun = time.Now()
		}
		m.text.WriteString(e.Delta)
	case "response.completed":
		m.ended = time.Now()
		if m.text.String() != m.prefix+m.prompt {
			return fmt.Errorf("%w: %d bytes came, %d were asked for: %.200s", errWrong, m.text.Len(),
				len(m.prefix+m.prompt), m.text.String())
		}
	case "response.failed", "response.incomplete", "error":
		return fmt.Errorf("%w: %.500s", errWrong, data)
	}
	return nil
}
