package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// requestTime bounds a request, a long poll included.
const requestTime = 15 * time.Second

// call makes a request and decodes its answer.
func call(ctx context.Context, method, address string, body, into any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, req.URL.Path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return res.StatusCode, fmt.Errorf("read the answer of %s: %w", req.URL.Path, err)
	case res.StatusCode >= 300:
		return res.StatusCode, fmt.Errorf("%s %s: %d %.300s", method, req.URL.Path, res.StatusCode, text)
	case into == nil:
		return res.StatusCode, nil
	}
	return res.StatusCode, json.Unmarshal(text, into)
}

// submit sends a task until it is accepted, as a client does whose requests fail
// or have an unknown outcome.
func (s *site) submit(ctx context.Context, t task) error {
	var body map[string]any
	if err := json.Unmarshal(t.encode(), &body); err != nil {
		return fmt.Errorf("encode task: %w", err)
	}
	body["lane"] = t.lane
	var last error
	accepted := program.Until(ctx, settleTime, func() bool {
		var status int
		status, last = call(ctx, http.MethodPost, s.api+"/v1/tasks", body, nil)
		return status == http.StatusAccepted
	})
	if !accepted {
		return fmt.Errorf("submit: %w", last)
	}
	return nil
}

// result waits for a task's end, also if the API is away for a while.
func (s *site) result(ctx context.Context, t task) (status string, err error) {
	address := s.api + "/v1/tasks/" + t.id + "/result?wait=5s&user_id=" + url.QueryEscape(t.user)
	program.Until(ctx, settleTime, func() bool {
		var got struct{ Status string }
		var code int
		if code, err = call(ctx, http.MethodGet, address, nil, &got); err == nil {
			status = got.Status
		}
		return code == http.StatusOK
	})
	return status, err
}

// list is the ids of the tasks of a status.
func (s *site) list(ctx context.Context, status string) ([]string, error) {
	var page struct {
		Tasks []struct {
			TaskID string `json:"task_id"`
			UserID string `json:"user_id"`
		}
	}
	_, err := call(ctx, http.MethodGet, s.api+"/v1/tasks?limit=1000&status="+status, nil, &page)
	var ids []string
	for _, t := range page.Tasks {
		ids = append(ids, t.UserID+"/"+t.TaskID)
	}
	return ids, err
}

// ready is why a role is not ready, "" if it is.
func ready(ctx context.Context, address string) string {
	if _, err := call(ctx, http.MethodGet, "http://"+address+"/readyz", nil, nil); err != nil && !isSyntax(err) {
		return err.Error()
	}
	return ""
}

func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}

// watched submits a task whose user watches, and waits until that has seen its
// end.
func (s *site) watched(ctx context.Context, t task) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	stream, err := s.stream(ctx, t.user)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := s.submit(ctx, t); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stream); lines.Scan(); {
		var e event
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if ok && json.Unmarshal([]byte(data), &e) == nil && e.TaskID == t.id && e.Status == "completed" {
			return nil
		}
	}
	return errors.Join(errors.New("the stream ended"), ctx.Err())
}

// stream opens a user's events, once the notifier lets it.
func (s *site) stream(ctx context.Context, user string) (io.ReadCloser, error) {
	var last error
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.events+"/sse?since=now&user_id="+url.QueryEscape(user),
			nil)
		if err != nil {
			return nil, fmt.Errorf("make request: %w", err)
		}
		res, err := http.DefaultClient.Do(req)
		switch {
		case err != nil:
			last = err
		case res.StatusCode == http.StatusOK:
			return res.Body, nil
		default:
			last = fmt.Errorf("GET /sse: %s", res.Status)
			res.Body.Close()
		}
		program.Pause(ctx, 200*time.Millisecond)
	}
	return nil, fmt.Errorf("open a stream: %w", errors.Join(last, ctx.Err()))
}
