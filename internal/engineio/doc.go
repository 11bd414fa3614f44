// Package engineio is a server for version 4 of the Engine.IO protocol: messages
// in both directions over HTTP long polling or a WebSocket, with an upgrade from
// the one to the other. Socket.IO lies on top of it.
//
// # What a connection promises
//
// Messages arrive in the order in which they were sent, each at most once. What
// was handed over when the connection ends may be lost: a poll whose answer does
// not arrive takes its packets with it, so a client has to be able to ask again
// for what it missed.
//
// # Bounds
//
// [Conn.Send] waits while more than Config.BufferBytes wait for the client, so a
// client that does not read stops its own sender and nobody else. It ends when a
// write takes longer than Config.WriteTimeout, or when it does not answer the
// heartbeat. What clients send is bounded in size, their number by
// Config.MaxSessions. The listener of one connection is called by one goroutine
// at a time, and while it is at work the client's next request waits.
//
// # What is not supported
//
// JSONP polling, version 3 (Socket.IO 2), WebTransport, compression, cookies. A
// connection belongs to the process that opened it: with several behind one
// address, a client that polls has to reach the same one each time.
package engineio
