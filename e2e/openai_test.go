package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// door is a second producer beside an installation, which can be killed without its broker
// and processor.
type door struct {
	t      *testing.T
	i      *installation
	args   []string
	server *server
	base   string
}

func newDoor(t *testing.T, i *installation) *door {
	t.Helper()
	address := freePorts(t, 1)[0]
	d := &door{t: t, i: i, base: "http://" + address + "/openai/v1"}
	d.args = append([]string{"producer", "--api-addr", address, "--data-dir", t.TempDir(), "--log-format", "json"},
		i.kafkaFlags()...)
	d.start()
	return d
}

func (d *door) start() {
	d.t.Helper()
	d.server, _ = launch(d.t, d.args...)
	waitHTTP(d.t, strings.TrimSuffix(d.base, "/openai/v1")+"/readyz")
}

func (d *door) killAndRestart() {
	d.t.Helper()
	d.server.kill()
	d.start()
}

// waitHTTP waits until an address answers 200.
func waitHTTP(t *testing.T, address string) {
	t.Helper()
	for until := time.Now().Add(deadline); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		if res, err := http.Get(address); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("%s is not ready", address)
}

func (d *door) post(path string, body map[string]any) *http.Response {
	d.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := http.Post(d.base+path, "application/json", bytes.NewReader(b))
	if err != nil {
		d.t.Fatal(err)
	}
	return res
}

// event is one of a stream; data is as it was sent.
type streamEvent struct {
	number int
	data   string
	kind   string
	delta  string
}

// events reads a response's stream from an event on, until the end or the connection's.
func events(ctx context.Context, base, id string, after int, each func(streamEvent)) error {
	address := fmt.Sprintf("%s/responses/%s?stream=true", base, id)
	if after >= 0 {
		address += fmt.Sprint("&starting_after=", after)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		var e struct {
			Type   string `json:"type"`
			Number int    `json:"sequence_number"`
			Delta  string `json:"delta"`
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return err
		}
		each(streamEvent{number: e.Number, data: data, kind: e.Type, delta: e.Delta})
	}
	return lines.Err()
}

// follow reads a response's stream to its end over every break.
func (d *door) follow(id string, progress chan<- int) (all []string, text string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*deadline)
	defer cancel()
	for ended := false; !ended; {
		_ = events(ctx, d.base, id, len(all)-1, func(e streamEvent) {
			if e.number != len(all) {
				d.t.Errorf("event %d comes after %d", e.number, len(all)-1)
			}
			all = append(all, e.data)
			text += e.delta
			ended = e.kind == "response.completed" || e.kind == "response.failed"
			select {
			case progress <- len(all):
			default:
			}
		})
		if ctx.Err() != nil {
			d.t.Errorf("the stream of %s has not ended after %d events", id, len(all))
			return all, text
		}
		if !ended {
			<-time.After(20 * time.Millisecond)
		}
	}
	return all, text
}

func piecesOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "piece %d of %d\n", i+1, n)
	}
	return b.String()
}

// TestOpenAIStreamOverKills: a stream is read on over kills -9 of the API, and over one of
// everything, the processor included: no token is lost or doubled, and every instance has the
// same events, byte for byte.
func TestOpenAIStreamOverKills(t *testing.T) {
	i := newInstallation(t)
	up := i.up(t)
	d := newDoor(t, i)
	const pieces = 300
	res := d.post("/responses", map[string]any{
		"model": "tasklane/debug/echo/stream", "input": "hi", "background": true, "pieces": pieces, "piece_ms": 25,
		"user": "ada",
	})
	var created struct{ ID, Status string }
	err := json.NewDecoder(res.Body).Decode(&created)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || created.Status == "completed" {
		t.Fatalf("%d, %+v, %v", res.StatusCode, created, err)
	}
	type stream struct {
		all  []string
		text string
	}
	progress, followed := make(chan int, 1), make(chan stream, 1)
	go func() {
		all, text := d.follow(created.ID, progress)
		followed <- stream{all, text}
	}()
	reach := func(count int) {
		for n := 0; n < count; {
			select {
			case n = <-progress:
			case <-time.After(deadline):
				t.Fatalf("the stream has not come to event %d", count)
			}
		}
	}
	reach(30)
	d.killAndRestart()
	reach(60)
	up.kill()
	up = i.up(t)
	got := <-followed
	all, text := got.all, got.text
	if text != piecesOf(pieces) {
		t.Errorf("streamed %d bytes, want %d:\n%s", len(text), len(piecesOf(pieces)), tail(text, 300))
	}
	// The other instance, and this one from the start.
	other := *d
	other.base = up.api + "/openai/v1"
	for name, instance := range map[string]*door{"other": &other, "same": d} {
		again, _ := instance.follow(created.ID, nil)
		if len(again) != len(all) {
			t.Fatalf("%s instance: %d events, want %d", name, len(again), len(all))
		}
		for n := range all {
			if again[n] != all[n] {
				t.Fatalf("%s instance: event %d is %s, was %s", name, n, again[n], all[n])
			}
		}
	}
}
