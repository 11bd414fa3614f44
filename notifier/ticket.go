package notifier

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
)

// maxTicketBody bounds the body of a request for a ticket, in bytes.
const maxTicketBody = 4 << 10

// ticketRequest is the body of a request for a ticket; it may be left out.
type ticketRequest struct {
	UserID string `json:"user_id"`

	Unknown jsontext.Value `json:",embed"`
}

// ticketAnswer is a ticket.
type ticketAnswer struct {
	Ticket string `json:"ticket"`
	// ExpiresAt is until when it can be used, once.
	ExpiresAt time.Time `json:"expires_at"`
}

// serveTicket is POST /v1/tickets: it turns a token into a ticket, which a browser can put into an address. A program
// with an admin's token can fetch one for the user of a page it serves; that ticket is no admin's.
func (n *Notifier) serveTicket(c *gin.Context) error {
	ticket, refused := n.ticket(c.Writer, c.Request)
	if refused != nil {
		return refused
	}
	return httpedge.Answer(c.Writer, http.StatusCreated, ticket)
}

func (n *Notifier) ticket(w http.ResponseWriter, r *http.Request) (ticketAnswer, *httpedge.Problem) {
	if !n.auth.On() {
		return ticketAnswer{}, badRequest("Auth is off: there is nothing to have a ticket for. Connect with user_id.")
	}
	c := credentialsOf(r)
	asked, refused := readTicketRequest(w, r)
	switch {
	case refused != nil:
		return ticketAnswer{}, refused
	case c.ticket != "":
		return ticketAnswer{}, badRequest("A ticket buys no other ticket. Send a token.")
	case c.userID != "" && asked.UserID != "" && c.userID != asked.UserID:
		return ticketAnswer{}, badRequest("user_id is given twice, in the query and the body, and differs.")
	case asked.UserID != "":
		c.userID = asked.UserID
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

func readTicketRequest(w http.ResponseWriter, r *http.Request) (asked ticketRequest, _ *httpedge.Problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTicketBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return asked, &httpedge.Problem{Title: "the body is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: "Send at most 4 KiB."}
	case err != nil:
		return asked, badRequest("The body could not be read to its end.")
	case len(body) == 0:
		return asked, nil
	}
	// A page of another origin can send other types without being asked first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return asked, &httpedge.Problem{Title: "the type is not supported", Status: http.StatusUnsupportedMediaType,
			Detail: "Send the body as Content-Type: application/json."}
	}
	if json.Unmarshal(body, &asked) != nil {
		return asked, badRequest("The body must be one JSON object with no other member than user_id.")
	}
	wrong := httpedge.UnknownMembers(asked.Unknown, "user_id")
	if wrong != nil {
		wrong.Title, wrong.Status = notValid, http.StatusBadRequest
	}
	return asked, wrong
}
