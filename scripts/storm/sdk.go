package main

import (
	"context"
	"net/http"

	"github.com/aiecs/tasklane/client"
)

// viaSDK is the transport of clients that use the SDK's Watch, which comes back
// by itself.
const viaSDK = "sdk"

// runSDK follows by the SDK until ctx ends.
func (w *watcher) runSDK(ctx context.Context) {
	address := w.arena.address(w.random)
	w.entered(nil, address)
	transport := &http.Transport{DialContext: w.dial}
	c, err := client.New(client.Config{Notifier: "ws://" + address, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		w.fail(err)
		return
	}
	defer c.Close()
	request := client.WatchRequest{UserID: w.user, TaskID: w.task, Since: w.since, Connected: w.welcomed}
	for event, err := range c.Watch(ctx, request) {
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.fail(err)
			return
		}
		w.hold(ctx)
		w.take(&event)
	}
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong("the SDK's watch ended: %v", err)
}

func (w *watcher) welcomed(hello client.Hello) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connected = true
	if !hello.Recovered {
		w.wrong("not recovered")
	}
}

func (w *watcher) take(event *client.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &said{Kind: string(event.Kind), EventID: event.EventID, TaskID: event.TaskID, UserID: event.UserID}
	if event.Output != nil {
		m.Output = &piece{Index: event.Output.Index, Text: event.Output.Text, Count: event.Output.Count}
	}
	if m.UserID != w.user || w.task != "" && m.TaskID != w.task {
		w.wrong("event %s of task %s of user %s", m.EventID, m.TaskID, m.UserID)
		return
	}
	w.note(m)
}
