package httpedge

import (
	"log/slog"
	"net/http"
	"time"
)

// Time limits of every server. The limit for reading covers the header and the
// body; net/http lifts it when the body has been read or the connection is taken
// over, so long polls and streams are not cut off by it.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// NewServer is a server in which every phase of a request has an end, but for
// writing: writeTimeout 0 is for servers with streams, which bound each write
// themselves. What net/http has to say of its clients is logged as debug.
func NewServer(handler http.Handler, writeTimeout time.Duration, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           plain(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// plain forbids browsers to guess another type than the one that is said: what a
// model or a user wrote must never run as a script.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// BareWriter is the server's own writer: the framework's keeps the error of a flush to itself.
func BareWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}
