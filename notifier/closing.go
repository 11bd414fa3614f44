package notifier

// Close codes of the WebSocket, beside the standard ones. A client that gets
// 1001, 1011 or CloseSlow should connect again with the last cursor it has; one
// that gets another code has to change something first.
const (
	closeGoingAway   = 1001
	closeUnsupported = 1003
	closePolicy      = 1008
	closeTooBig      = 1009
	closeInternal    = 1011
	// CloseSlow says that the client did not read fast enough.
	CloseSlow = 4008
)

// closing is why a session ends. The zero value is a session that goes on; a
// code of -1 a client that is gone already.
type closing struct {
	code   int
	reason string // at most 123 bytes, the most a close frame holds
}

const codeGone = -1

func goingAway() closing {
	return closing{closeGoingAway, "going away: reconnect with the last cursor"}
}

func slowClient() closing {
	return closing{CloseSlow, "slow client: reconnect with the last cursor"}
}

func replayFailed() closing {
	return closing{closeInternal, "history could not be read: reconnect with the last cursor"}
}
