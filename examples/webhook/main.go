// Command webhook receives the ends of tasks at a callback_url, verifies them and
// prints each once:
//
//	webhook ADDRESS SECRET-FILE
//
// With `tasklane up --webhook-allow 127.0.0.1` the file is data/webhook-secret,
// and a task with "callback_url": "http://127.0.0.1:3000/" ends up here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: webhook ADDRESS SECRET-FILE, for example webhook 127.0.0.1:3000 data/webhook-secret")
	}
	handler, err := newReceiver(args[1], out)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr: args[0], Handler: handler,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// maxBody is more than the largest event.
const maxBody = 2 << 20

// receiver is the server of a callback_url.
type receiver struct {
	secrets []string
	out     io.Writer

	mu   sync.Mutex
	seen map[string]bool // a real one keeps this with what it does, in its database
}

func newReceiver(secretFile string, out io.Writer) (*receiver, error) {
	secrets, err := client.ReadWebhookSecrets(secretFile)
	if err != nil {
		return nil, err
	}
	return &receiver{secrets: secrets, out: out, seen: map[string]bool{}}, nil
}

// ServeHTTP answers 204 once the event is taken care of. Anything that takes long
// belongs behind the answer: after 15 s the sender gives up and comes again.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	event, err := client.VerifyWebhook(request.Header, body, r.secrets...)
	if err != nil {
		http.Error(w, "not verified", http.StatusUnauthorized)
		return
	}
	r.handle(event)
	w.WriteHeader(http.StatusNoContent)
}

// handle does what there is to do, once for each event.
func (r *receiver) handle(event *schemas.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[event.EventID] {
		return
	}
	r.seen[event.EventID] = true
	fmt.Fprintf(r.out, "%s of %s: %s\n", event.TaskID, event.UserID, event.Status)
}
