// Package socketio is a server for version 5 of the Socket.IO protocol over
// Engine.IO: namespaces, events with and without acknowledgement, binary
// attachments. Clients of Socket.IO 3 and 4 speak it.
//
// An application makes one [Client] for each connection and gets what it says,
// one call at a time. It answers through the [Socket] of a namespace; a call of
// [Socket.Emit] waits while the client does not read, and so does the client
// while it is waited for in an [Client.Event].
//
// # What is not supported
//
// The recovery of a connection's state (a client gets a new id each time and has
// to say where it goes on), parsers other than the default one, acknowledgements
// that the server asks for (those of clients are passed over), rooms and
// broadcasts, which are the application's.
package socketio
