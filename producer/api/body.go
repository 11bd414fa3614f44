package api

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// maxBodyBytes bounds a body that is no task.
const maxBodyBytes = 64 << 10

// readBody reads a request's whole body of at most limit bytes, which large
// refuses. Room is shared among users, or among addresses where no user has been
// proved.
func (a *API) readBody(c *gin.Context, limit int64, large *httpedge.Problem) ([]byte, error) {
	sender := identityOf(c).User
	if sender == "" {
		sender = c.RemoteIP()
	}
	body, err := a.bodies.Read(c.Writer, c.Request, sender, limit)
	if errors.Is(err, httpedge.ErrTooLarge) {
		return nil, large
	}
	return body, err //nolint:wrapcheck // the edge has an answer for each
}

// readSmallBody reads the body of a request that is no submission. It is empty only
// if the request has none.
func (a *API) readSmallBody(c *gin.Context) ([]byte, error) {
	large := httpedge.NewProblem(http.StatusRequestEntityTooLarge, "the body is larger than 64 KiB")
	body, err := a.readBody(c, maxBodyBytes, large)
	if err == nil && len(body) > 0 && !isJSON(c) {
		err = httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json")
	}
	return body, err
}

func isJSON(c *gin.Context) bool {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	return err == nil && kind == "application/json"
}

// decode reads a small body whose members are all known.
func decode(body []byte, into any, members ...string) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName) {
		unknown := httpedge.UnknownMember(semantic.JSONPointer.LastToken(), members...)
		unknown.Detail += " Known are " + strings.Join(members, ", ") + "."
		return unknown
	}
	return malformed(body, err, "the body must be one JSON object with no other members than "+strings.Join(members, ", "))
}

// malformed tells a body that is no JSON from one that is not what is wanted.
func malformed(body []byte, err error, wanted string) error {
	var syntax *jsontext.SyntacticError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return httpedge.NewProblem(http.StatusBadRequest, "the body is empty; "+wanted)
	case !errors.As(err, &syntax):
		return httpedge.NewProblem(http.StatusUnprocessableEntity, wanted)
	}
	if format := schemas.ForeignFormat(body, "send it as it is, or with Content-Encoding: gzip"); format != "" {
		return httpedge.NewProblem(http.StatusBadRequest, "the body "+format)
	}
	return httpedge.NewProblem(http.StatusBadRequest, fmt.Sprintf("the body is not valid JSON at byte %d: %v",
		syntax.ByteOffset, syntax.Err))
}
