// Package listen is how the servers of this project accept connections.
//
// Running out of file descriptors, or a client that is gone before it was
// accepted, is no reason to stop listening: a [Listener] pauses, says so in its
// log, once and then summed up, and tries again. It ends only when its socket is
// gone, and then tells so. It also bounds the connections that are open at a
// time, so that clients never take the descriptors that the process needs for
// its files, its brokers and its health checks.
package listen
