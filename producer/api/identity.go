package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// identityKey is where a request's context keeps its [auth.Identity].
type identityKey struct{}

// identityOf is who makes a request. Without authenticate before it, that is
// nobody, who may do nothing.
func identityOf(c *gin.Context) auth.Identity {
	who, _ := c.Get(identityKey{})
	identity, _ := who.(auth.Identity)
	return identity
}

// authenticate lets a request go on whose user has proved who it is; with auth
// off, every one.
func (a *API) authenticate(c *gin.Context) error {
	who := auth.Anyone()
	if a.config.Auth.On() {
		var refused *auth.RefusalError
		if who, refused = a.prove(c.Request); refused != nil {
			return refused
		}
	}
	c.Set(identityKey{}, who)
	return nil
}

func (a *API) prove(r *http.Request) (auth.Identity, *auth.RefusalError) {
	token, refused := httpedge.Token(r)
	if refused != nil {
		return auth.Identity{}, a.config.Auth.Count(refused)
	}
	return a.config.Auth.Token(r.Context(), token)
}

// adminOnly stops those who may act for themselves only.
func (a *API) adminOnly(c *gin.Context) error {
	if err := a.authenticate(c); err != nil {
		return err
	}
	if !identityOf(c).Admin {
		return a.config.Auth.Refuse(auth.AdminOnly)
	}
	return nil
}

// userOf is the user whose tasks a request is about: the one it names, who must
// be the one who asks unless that is an admin. A request that names none is about
// who asks, or every user if that is an admin: then it is empty. This comes before
// anything is looked up: a task of another user and none at all are refused alike.
func (a *API) userOf(c *gin.Context, named string) (string, error) {
	who := identityOf(c)
	if who.Admin {
		return named, nil
	}
	user, refused := a.config.Auth.Settle(who, named)
	switch {
	case refused != nil:
		return "", refused
	case user == "": // it would be every user
		return "", a.config.Auth.Refuse(auth.Missing)
	}
	return user, nil
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

// maySubmit reports whether all of a task is for users whom somebody may act for.
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

// within is how long somebody may wait: not beyond the end of the proof.
func within(who auth.Identity, wait time.Duration) time.Duration {
	if who.Expires.IsZero() {
		return wait
	}
	return min(wait, time.Until(who.Expires))
}
