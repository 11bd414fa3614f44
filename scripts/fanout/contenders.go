package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Servers to measure.
const (
	tasklaneSingle = "tasklane"
	tasklaneBatch  = "tasklane-batch"
	tasklaneApart  = "tasklane-apart"
	centrifugeJSON = "centrifuge"
	gorillaBare    = "gorilla"
	gorillaOfLog   = "gorilla-log"
)

func contenders() []string {
	return []string{tasklaneSingle, tasklaneBatch, tasklaneApart, centrifugeJSON, gorillaBare, gorillaOfLog}
}

// start starts the server to measure, and says what its clients speak.
func (o options) start(ctx context.Context) (s server, dialect string, err error) {
	switch o.serve {
	case tasklaneSingle:
		s, err = startTasklane(ctx)
		return s, dialectSingle, err
	case tasklaneBatch:
		s, err = startTasklane(ctx)
		return s, dialectBatch, err
	case tasklaneApart:
		s, err = o.startApart(ctx)
		return s, dialectSingle, err
	case centrifugeJSON:
		s, err = startCentrifuge(ctx)
		return s, dialectCentrifuge, err
	case gorillaBare:
		s, err = startGorilla(ctx)
		return s, dialectPlain, err
	case gorillaOfLog:
		s, err = o.startGorillaLog(ctx)
		return s, dialectPlain, err
	}
	return nil, "", fmt.Errorf("%w: %s", errUnknown, o.serve)
}

// listen serves a handler on a free port.
func listen(ctx context.Context, handler http.Handler) (addr string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(listener) }() // it ends with stop
	return listener.Addr().String(), func() { _ = s.Close() }, nil
}
