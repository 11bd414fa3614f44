package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aiecs/tasklane/client"
)

// advise adds to an error what to change on the command line, where the error itself
// cannot know it. watching says that the notifier was spoken to, not the API.
func (r *connection) advise(err error, watching bool) error {
	flag, address, start := "--server", r.server, "tasklane up"
	if watching {
		flag, address = "--notifier", r.notifier
	}
	var refused *client.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrUnreachable) && strings.Contains(err.Error(), "gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w; it speaks no TLS: write %s %s", err, flag, strings.Replace(
			strings.Replace(address, "https:", "http:", 1), "wss:", "ws:", 1))
	case errors.Is(err, client.ErrUnreachable):
		return fmt.Errorf("%w; is Tasklane running there? Start it with %q, or name its address with %s",
			err, start, flag)
	case !errors.As(err, &refused):
		return err
	case refused.Status == http.StatusNotFound && strings.HasPrefix(refused.Detail, nothingHere):
		return fmt.Errorf("%w; is %s the address of the %s? It is named with %s", err, address, serverOf(watching), flag)
	case refused.Status == http.StatusUnauthorized && r.token == "":
		return fmt.Errorf("%w; on the command line: give a token with TASKLANE_TOKEN or --token, "+
			"for development one that \"tasklane token\" makes", err)
	case refused.Status == http.StatusUnauthorized && strings.Contains(refused.Detail, "sign"):
		return fmt.Errorf("%w; the servers know the keys of their --auth-secret-file, --auth-public-key-file or "+
			"--auth-jwks-url", err)
	case refused.Status == http.StatusForbidden && strings.Contains(refused.Detail, "admin scope"):
		return fmt.Errorf("%w; for development \"tasklane token --admin\" makes one", err)
	}
	return err
}

// nothingHere is how servers begin their answer for a path that they do not have.
const nothingHere = "there is nothing here"

func serverOf(watching bool) string {
	if watching {
		return "notifier (port 8000 by default)"
	}
	return "API (port 8080 by default)"
}
