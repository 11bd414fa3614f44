package notifier

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
)

// maxTicketOrder bounds the body of a request for a ticket, in bytes.
const maxTicketOrder = 4 << 10

// ticketOrder is the body of a request for a ticket; it may be left out.
type ticketOrder struct {
	UserID string `json:"user_id"`
}

// ticketAnswer is a ticket.
type ticketAnswer struct {
	Ticket string `json:"ticket"`
	// ExpiresAt is until when it can be used, once.
	ExpiresAt time.Time `json:"expires_at"`
}

// serveTicket is POST /v1/tickets: it turns a token into a ticket, which a
// browser can put into an address. A program with an admin's token can fetch
// one for the user of a page it serves; that ticket is no admin's.
func (n *Notifier) serveTicket(w http.ResponseWriter, r *http.Request) {
	ticket, refused := n.ticket(w, r)
	if refused != nil {
		refused.write(w)
		return
	}
	n.answer(w, http.StatusCreated, ticket)
}

func (n *Notifier) ticket(w http.ResponseWriter, r *http.Request) (ticketAnswer, *problem) {
	if !n.auth.On() {
		return ticketAnswer{}, badRequest("Auth is off: there is nothing to have a ticket for. Connect with user_id.")
	}
	c := credentialsOf(r)
	order, refused := readTicketOrder(w, r)
	switch {
	case refused != nil:
		return ticketAnswer{}, refused
	case c.ticket != "":
		return ticketAnswer{}, badRequest("A ticket buys no other ticket. Send a token.")
	case c.userID != "" && order.UserID != "" && c.userID != order.UserID:
		return ticketAnswer{}, badRequest("user_id is given twice, in the query and the body, and differs.")
	case order.UserID != "":
		c.userID = order.UserID
	}
	who, refused := n.identify(c)
	if refused != nil {
		return ticketAnswer{}, refused
	}
	// For a user that is named, an admin's right would be too much.
	admin := who.admin && c.userID == ""
	text, expires := n.auth.Ticket(auth.Identity{User: who.user, Admin: admin, Expires: who.expires})
	return ticketAnswer{Ticket: text, ExpiresAt: expires.UTC()}, nil
}

func readTicketOrder(w http.ResponseWriter, r *http.Request) (order ticketOrder, _ *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTicketOrder))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return order, &problem{Title: "the body is too large", Status: http.StatusRequestEntityTooLarge, Detail: "Send at most 4 KiB."}
	case err != nil:
		return order, badRequest("The body could not be read to its end.")
	case len(body) == 0:
		return order, nil
	}
	// A page of another origin can send other types without being asked first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return order, &problem{Title: "the type is not supported", Status: http.StatusUnsupportedMediaType, Detail: "Send the body as Content-Type: application/json."}
	}
	if json.Unmarshal(body, &order, json.RejectUnknownMembers(true)) != nil {
		return order, badRequest("The body must be one JSON object with no other member than user_id.")
	}
	return order, nil
}
