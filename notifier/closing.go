package notifier

import (
	"github.com/aiecs/tasklane/internal/httpedge"
	"net/http"
	"strings"
)

// Close codes of the WebSocket, beside the standard ones. A client that gets 1001, 1011, 1013 or CloseSlow should
// connect again with the last cursor it has, and with CloseUnauthenticated with another token too; one that gets
// another code has to change something first.
const (
	closeGoingAway   = 1001
	closeUnsupported = 1003
	closePolicy      = 1008
	closeTooBig      = 1009
	closeInternal    = 1011
	closeTryLater    = 1013
	// CloseSlow says that the client did not read fast enough.
	CloseSlow = 4008
	// CloseUnauthenticated says that the client has not said who it is, or that its token has expired.
	CloseUnauthenticated = 4401
	// CloseForbidden says that the client may not have what it asked for.
	CloseForbidden = 4403
	// CloseInvalid says that the address has a query that cannot be served.
	CloseInvalid = 4422
	// CloseTooMany says that the client has too many subscriptions or asks too often.
	CloseTooMany = 4429
)

// closing is why a session ends. The zero value is a session that goes on; a code of -1 a client that is gone already.
type closing struct {
	code   int
	reason string // at most 123 bytes, the most a close frame holds
}

const codeGone = -1

func goingAway() closing {
	return closing{closeGoingAway, "going away: reconnect with the last cursor"}
}

func slowClient() closing { return closing{CloseSlow, "slow client: reconnect with the last cursor"} }

func badCommand(what string) closing { return closing{closePolicy, what} }

// closingOf is how a problem is told on a connection that is open already.
func closingOf(p *httpedge.Problem) closing {
	why := closing{code: closePolicy, reason: p.Detail}
	switch {
	case p.Status == http.StatusUnauthorized:
		why.code = CloseUnauthenticated
	case p.Status == http.StatusForbidden:
		why.code = CloseForbidden
	case p.Status == http.StatusTooManyRequests:
		why.code = CloseTooMany
	case p.Status >= http.StatusInternalServerError:
		why.code = closeInternal
	}
	return why.short()
}

// refusing is how a problem with the request of a connection is told on the connection itself: a temporary one as 1013,
// any other as 4000 and the status that it has in HTTP.
func refusing(p *httpedge.Problem) closing {
	code := 4000 + p.Status
	if p.Temporary() {
		code = closeTryLater
	}
	return closing{code, p.Detail}.short()
}

// short makes the reason fit a close frame.
func (c closing) short() closing {
	const longest = 123
	if len(c.reason) > longest {
		c.reason = strings.ToValidUTF8(c.reason[:longest-3], "") + "..."
	}
	return c
}
