package listen

import "net"

// Greet makes a connection one of a server of HTTP, as Serve does.
func Greet(c net.Conn) { c.(*conn).fresh = true }
