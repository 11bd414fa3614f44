package clienttest

import "time"

// SetGrace is how long handlers may take to return after a cancel.
func (s *Server) SetGrace(d time.Duration) { s.grace = d }
