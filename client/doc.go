// Package client submits tasks to Tasklane and follows them, over HTTP and
// WebSocket. No Kafka type appears in it.
//
//	c, err := client.New(client.Config{Server: "http://127.0.0.1:8080", Notifier: "ws://127.0.0.1:8000"})
//	handle, err := c.Submit(ctx, schemas.LaneFast, schemas.Task{
//		UserID: "alice", TaskName: "detect_language", Mode: "chat", Service: "text_analyzer",
//		InputData: jsontext.Value(`{"text": "Guten Morgen, wie geht es Ihnen heute?"}`),
//	})
//	result, err := handle.Wait(ctx)
//
// # What is guaranteed
//
// A call that cannot reach the server, or is told to come back later (429, 502,
// 503, 504), is tried again with a growing, jittered pause, until its context
// ends or [Config.GiveUpAfter] has passed. Every try of a [Client.Submit]
// carries the same task_id, so a repeated submit can never make two tasks, and
// an accepted task is never lost to a dropped answer.
//
// [Client.Watch] delivers events in the order of each task's history and comes
// back by itself after a broken connection, from the last event it delivered:
// nothing is missed, except progress that later progress superseded, and nothing
// is delivered twice. It reads from the network only as fast as its caller
// takes events, and holds no queue of its own. It offers the notifier to send
// several events in one frame.
//
// With a [Config.TokenSource] calls and watches live through the end of their
// token.
//
// # What is not
//
// A Submit whose context ends before an answer came has an unknown outcome: the
// task may run. Submit the same task, with its task_id, again to find out.
//
// A [Client] is safe for concurrent use and owns no goroutine; what a call
// starts has ended when the call returns.
package client
