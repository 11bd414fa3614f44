package proxy

import "time"

// Keys of the requests that faults are made for.
const (
	Produce        = int16(0)
	Fetch          = int16(1)
	metadata       = int16(3)
	OffsetCommit   = int16(8)
	coordinator    = int16(10)
	JoinGroup      = int16(11)
	Heartbeat      = int16(12)
	apiVersions    = int16(18)
	cluster        = int16(60)
	GroupHeartbeat = int16(68) // of KIP-848
)

// Action is what is done to a frame.
type Action int

// The actions.
const (
	Pass  Action = iota
	Drop         // the frame disappears, the connection stays
	Break        // the frame disappears, the connection ends
	Cut          // half of the frame passes, the connection ends
	Reset        // the connection ends with a reset in both directions
)

// Frame is a request or the answer to one.
type Frame struct {
	Key    int16
	Answer bool
}

// Faults decide about frames. They are called from many goroutines.
type Faults func(Frame) (Action, time.Duration)

// Stats count what happened to frames and connections.
type Stats struct {
	Refused int // connections that the broker did not take
	Delayed int
	// Lost are requests that were under way, or answered by nothing, when their
	// connection ended without a fault of the proxy's.
	Lost map[int16]int
	// Done are frames that an action was done to.
	Done map[Done]int
}

// Done is an action on a kind of frame.
type Done struct {
	Frame
	Action Action
}
