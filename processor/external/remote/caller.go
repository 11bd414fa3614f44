package remote

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// browser reports whether a web page asks. None is a worker; and one that only embeds an address, as an image or a
// frame, would be given a task that nobody works on.
func browser(r *http.Request) bool {
	return len(r.Header.Values("Origin")) > 0 || len(r.Header.Values("Sec-Fetch-Site")) > 0
}

// has reports whether a token is that of the service.
func (s *service) has(token string) bool {
	if s.config.Token == "" {
		return false
	}
	own, given := sha256.Sum256([]byte(s.config.Token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(own[:], given[:]) == 1
}

// allowed are the services for whose tasks a request may ask, one or more: those of its token, or if it has none of a
// service, those that need none.
func (s *Server) allowed(r *http.Request) ([]*service, error) {
	token, refused := httpedge.Token(r)
	if refused != nil {
		return nil, refused
	}
	var own, open []*service
	for _, one := range s.services {
		switch {
		case one.has(token):
			own = append(own, one)
		case one.config.Token == "":
			open = append(open, one)
		}
	}
	switch {
	case len(own) > 0:
		return own, nil
	case len(open) > 0:
		return open, nil
	}
	why := "no service has this token"
	if token == "" {
		why = "a token is needed"
	}
	return nil, &httpedge.Problem{Status: http.StatusUnauthorized, Challenge: `Bearer realm="tasklane"`,
		Detail: why + "; send the service's as Authorization: Bearer TOKEN"}
}

// chosen is the service that a request is about.
func (s *Server) chosen(c *gin.Context) (*service, error) {
	all, err := s.allowed(c.Request)
	if err != nil {
		return nil, err
	}
	name, given := c.GetQuery(paramService)
	var names []string
	for _, one := range all {
		if given && one.name == name || !given && len(all) == 1 {
			return one, nil
		}
		names = append(names, one.name)
	}
	if given {
		return nil, httpedge.Invalid(paramService, fmt.Sprintf("no service %.*q is offered to this caller; there is %s",
			maxShown, name, strings.Join(names, ", ")))
	}
	return nil, httpedge.Invalid(paramService, "must say which service: "+strings.Join(names, ", "))
}

// leased is the attempt that a request is about.
func (s *Server) leased(c *gin.Context) (*lease, error) {
	all, err := s.allowed(c.Request)
	if err != nil {
		return nil, err
	}
	l := s.leases.find(c.Param("id"))
	if l == nil {
		return nil, errUnknownID()
	}
	for _, one := range all {
		if one == l.service {
			if over := l.ended(); over != nil {
				return nil, over.problem()
			}
			return l, nil
		}
	}
	return nil, errUnknownID() // nobody is told of tasks that are not his
}
