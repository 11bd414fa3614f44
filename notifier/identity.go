package notifier

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// identifyTimeout bounds how long a client waits for the key of its token.
const identifyTimeout = 10 * time.Second

// credentials are what a client says about who it is, in a query, a header or a message. Any may be empty.
type credentials struct {
	userID, token, ticket string
	// refused is what is wrong with how they were given, nil if nothing is.
	refused *auth.RefusalError
}

// hasProof reports whether there is anything that proves who the client is, right or wrong.
func (c credentials) hasProof() bool { return c.token != "" || c.ticket != "" || c.refused != nil }

// identity is who a client is, as far as this notifier asks for proof.
type identity struct {
	// user is whose events are meant unless another user is named: the client's own or, for an admin, the one it named.
	user string
	// admin may watch every user.
	admin bool
	// expires is when the proof ends and the connection with it; zero for never.
	expires time.Time
}

// mayWatch reports whether the client may see a user's events.
func (i identity) mayWatch(user string) bool { return i.admin || i.user == user }

// identify says who a client is. With auth off it is who it says it is.
func (n *Notifier) identify(c credentials) (identity, *httpedge.Problem) {
	if !n.auth.On() {
		if c.ticket != "" {
			return identity{}, invalid("Auth is off: a ticket stands for nobody. Connect with user_id.")
		}
		return identity{user: c.userID}, checkUser(c.userID)
	}
	who, refused := n.prove(c)
	if refused != nil {
		return identity{}, notAuthorised(refused)
	}
	user, refused := n.auth.Settle(who, c.userID)
	if refused != nil {
		return identity{}, notAuthorised(refused)
	}
	if p := checkUser(user); p != nil {
		return identity{}, p
	}
	return identity{user: user, admin: who.Admin, expires: who.Expires}, nil
}

// prove checks a ticket or a token. Both would leave open which counts.
func (n *Notifier) prove(c credentials) (auth.Identity, *auth.RefusalError) {
	switch {
	case c.refused != nil:
		return auth.Identity{}, n.auth.Count(c.refused)
	case c.ticket != "" && c.token != "":
		return auth.Identity{}, n.auth.Count(&auth.RefusalError{
			Reason: auth.Malformed, Wrong: "a ticket and a token are given; send one of them"})
	case c.ticket != "":
		return n.auth.Redeem(c.ticket)
	}
	ctx, cancel := context.WithTimeout(n.running, identifyTimeout)
	defer cancel()
	return n.auth.Token(ctx, c.token)
}

func checkUser(user string) *httpedge.Problem {
	if p := schemas.CheckUserID(user); p != "" {
		return invalid("user_id " + p + ".")
	}
	if !utf8.ValidString(user) {
		return invalid("user_id must be valid UTF-8.")
	}
	return nil
}

// credentialsOf is what a request says about who makes it. A ticket that it carries counts once, so a connection of
// several requests asks only at its first.
func credentialsOf(r *http.Request) credentials {
	query := r.URL.Query()
	c := credentials{userID: query.Get("user_id"), ticket: query.Get("ticket")}
	c.token, c.refused = httpedge.Token(r)
	return c
}

// notAuthorised is the answer to a client that is not let in.
func notAuthorised(r *auth.RefusalError) *httpedge.Problem {
	p := httpedge.NotAuthorised(r)
	p.Title, p.Detail = "not authorised", sentence(p.Detail)
	if p.Status == http.StatusServiceUnavailable {
		p.Title = "not available now"
	}
	return p
}

// sentence makes one of a text as errors have it.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}
