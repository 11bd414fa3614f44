package producer

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// callerKey is where a request's context keeps its [auth.Identity].
type callerKey struct{}

// callerOf is who makes a request. Without authenticate before it, that is
// nobody, who may do nothing.
func callerOf(c *gin.Context) auth.Identity {
	who, _ := c.Get(callerKey{})
	caller, _ := who.(auth.Identity)
	return caller
}

// authenticate lets a request go on whose caller has proved who it is; with auth
// off, every one.
func (p *Producer) authenticate(c *gin.Context) {
	who := auth.Anyone()
	if p.auth.On() {
		var refused *auth.RefusalError
		if who, refused = p.prove(c.Request); refused != nil {
			c.Abort()
			p.refuse(c, refused)
			return
		}
	}
	c.Set(callerKey{}, who)
}

func (p *Producer) prove(r *http.Request) (auth.Identity, *auth.RefusalError) {
	token, refused := auth.FromHeader(r.Header)
	switch query := r.URL.Query(); {
	case query.Has("token"), query.Has("access_token"):
		return auth.Identity{}, p.auth.Refuse(auth.TokenInQuery)
	case refused != nil:
		return auth.Identity{}, p.auth.Refuse(refused.Reason)
	}
	return p.auth.Token(r.Context(), token)
}

// adminOnly stops callers who may act for themselves only.
func (p *Producer) adminOnly(c *gin.Context) {
	if !callerOf(c).Admin {
		c.Abort()
		p.refuse(c, p.auth.Refuse(auth.AdminOnly))
	}
}

// userOf is the user whose tasks a request is about: the one it names, who must
// be the caller unless that is an admin. A request that names none is about the
// caller, or every user if that is an admin: then it is empty. It has answered
// if it returns false, before anything was looked up: a task of another user and
// none at all are refused alike.
func (p *Producer) userOf(c *gin.Context, named string) (string, bool) {
	who := callerOf(c)
	if who.Admin {
		return named, true
	}
	user, refused := p.auth.Settle(who, named)
	if refused == nil && user == "" {
		refused = p.auth.Refuse(auth.Missing) // an empty one would be every user
	}
	if refused != nil {
		p.refuse(c, refused)
		return "", false
	}
	return user, true
}

// signature is who asks for something, for the record: only an admin can say
// that it was another.
func signature(who auth.Identity, said string) string {
	if who.Admin && (said != "" || who.User == "") {
		return said
	}
	return who.User
}

// owners are the users in a task: its own and those of the tasks that follow it.
type owners struct {
	UserID    string  `json:"user_id"`
	OnSuccess *owners `json:"on_success"`
	OnFailure *owners `json:"on_failure"`
}

// maySubmit reports whether all of a task is for users whom the caller may act
// for.
func maySubmit(who auth.Identity, t *schemas.Task) bool {
	if who.Admin {
		return true
	}
	all := &owners{UserID: t.UserID}
	for _, next := range []struct {
		text []byte
		into **owners
	}{{t.OnSuccess, &all.OnSuccess}, {t.OnFailure, &all.OnFailure}} {
		if len(next.text) > 0 && json.Unmarshal(next.text, next.into) != nil {
			return false
		}
	}
	return who.User == t.UserID && all.onlyOf(who.User)
}

// onlyOf reports whether no other user is named.
func (o *owners) onlyOf(user string) bool {
	return o == nil || (o.UserID == "" || o.UserID == user) && o.OnSuccess.onlyOf(user) && o.OnFailure.onlyOf(user)
}

// keysRetrySeconds is what a caller is told to wait while there are no keys to
// check its token with.
const keysRetrySeconds = 5

// refuse answers a caller that is not let in, or may not do this.
func (p *Producer) refuse(c *gin.Context, refused *auth.RefusalError) {
	if challenge := refused.Challenge(); challenge != "" {
		c.Header("WWW-Authenticate", challenge)
	}
	if refused.Status() == http.StatusServiceUnavailable {
		c.Header("Retry-After", strconv.Itoa(keysRetrySeconds))
	}
	p.fail(c, refusal(refused))
}

func refusal(refused *auth.RefusalError) problem.Problem {
	bad := problem.New(refused.Status(), refused.Detail())
	if refused.Reason == auth.OtherUser {
		bad.Field = "user_id"
	}
	return bad
}

// within is how long a caller may wait: not beyond the end of its proof.
func within(who auth.Identity, wait time.Duration) time.Duration {
	if who.Expires.IsZero() {
		return wait
	}
	return min(wait, time.Until(who.Expires))
}
