package producer

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/problem"
)

// maxOrderBytes bounds a body that is no task.
const maxOrderBytes = 64 << 10

// readOrder reads the body of a request that is no submission. It is empty only
// if the request has none.
func readOrder(c *gin.Context) ([]byte, *problem.Problem) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxOrderBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, pointer(problem.New(http.StatusRequestEntityTooLarge, "the body is larger than 64 KiB"))
	case err != nil:
		return nil, pointer(problem.New(http.StatusBadRequest, "the body could not be read to its end"))
	case len(body) == 0:
		return nil, nil
	}
	if kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || kind != "application/json" {
		return nil, pointer(problem.New(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json"))
	}
	return body, nil
}

// parseOrder decodes a body whose members are all known.
func parseOrder(body []byte, into any, members string) *problem.Problem {
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		bad := malformed(body, err)
		if bad.Status == http.StatusUnprocessableEntity {
			bad.Detail = "the body must be one JSON object with no other members than " + members
		}
		return bad
	}
	return nil
}
