package main

import (
	"errors"
	"net/http"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka"
)

// The exit codes.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func exitCode(err error) int {
	var usage cli.UsageError
	var refused *client.APIError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, kafka.ErrUnreachable):
		return exitUnreachable
	case errors.As(err, &refused) && refused.Status >= http.StatusBadGateway &&
		refused.Status <= http.StatusGatewayTimeout:
		return exitUnreachable // the server is there, its broker is not
	}
	return exitFailed
}
