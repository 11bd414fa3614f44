package notifier

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// A browser that lost its stream waits at random between these before it comes back, so that those of one instance do
// not all come at once.
const (
	retryLeast = time.Second
	retryMost  = 3 * time.Second
)

// stream is a session's server-sent events. The request's goroutine writes.
type stream struct {
	n       *Notifier
	w       http.ResponseWriter
	control *http.ResponseController
	session *session
	remote  string
	// These have room for one signal each.
	woken, due, killed chan struct{}
}

// serveSSE answers with a stream of events until the client or the session is gone.
func (n *Notifier) serveSSE(w http.ResponseWriter, r *http.Request) {
	resumed, refused := n.resumed(r)
	var a *admission
	if refused == nil {
		a, refused = n.admit(resumed)
	}
	if refused != nil {
		n.refuseStream(w, refused)
		return
	}
	if r.Method == http.MethodHead { // what a GET would be answered, without beginning it
		n.release()
		announceStream(w)
		return
	}
	k := &stream{
		n: n, w: w, control: http.NewResponseController(httpedge.BareWriter(w)), remote: r.RemoteAddr,
		woken: make(chan struct{}, 1), due: make(chan struct{}, 1), killed: make(chan struct{}, 1),
	}
	s := n.begin(k, a.who)
	if s == nil {
		n.release()
		n.refuseStream(w, unavailable("The notifier is stopping. Connect again with the last cursor."))
		return
	}
	k.session = s
	n.streams.Add(1)
	defer n.streams.Add(-1)
	defer n.leave(s)
	if !k.open() {
		s.end(closing{code: codeGone})
		return
	}
	n.subscribe(s, a.request, a.from)
	k.serve(r.Context().Done())
}

// refuseStream tells a client that it gets no stream now. A browser comes back by itself after a stream that ended, and
// never after a status other than 200: that is for requests that can only be wrong again.
func (n *Notifier) refuseStream(w http.ResponseWriter, refused *httpedge.Problem) {
	n.metrics.refused.Inc()
	if !refused.Temporary() {
		refused.Write(w)
		return
	}
	announceStream(w)
	least := max(retryLeast, time.Duration(refused.RetryAfter)*time.Second)
	b := appendRetry(nil, least+rand.N(least+retryMost-retryLeast))
	b = appendServerSent(b, item{message: refusing(refused).message()})
	_, _ = w.Write(b) // the client may be gone; there is nobody else to tell
}

// streamQuery is what the address of a stream may say. Clients that cannot send a header say there what they have seen
// last.
var streamQuery = append(slices.Clone(watchQuery), "lastEventId")

// resumed is the request of a client that comes back: it says the last id it has seen, which counts and not where its
// address says to begin.
func (n *Notifier) resumed(r *http.Request) (*http.Request, *httpedge.Problem) {
	said, refused := n.readQuery(r.URL.RawQuery, streamQuery)
	if refused != nil {
		return nil, refused
	}
	last := cmp.Or(r.Header.Get("Last-Event-ID"), said.Get("lastEventId"))
	said.Del("lastEventId")
	if last != "" {
		said.Set("since", last)
	}
	again := r.WithContext(r.Context())
	address := *r.URL
	address.RawQuery = said.Encode()
	again.URL = &address
	return again, nil
}

func (k *stream) wake() { signal(k.woken) }

func (k *stream) peer() (kind, remote string) { return kindSSE, k.remote }

func (k *stream) beat() { signal(k.due) }

// kill makes a write that is under way return.
func (k *stream) kill() {
	signal(k.killed)
	_ = k.control.SetWriteDeadline(time.Unix(1, 0))
}

// open sends the headers and how long to wait before coming back. That is one block with the first event: decoders make
// an event without data of a block that has none.
func (k *stream) open() bool {
	k.w.Header().Set("Connection", "close") // a write deadline is left on it
	announceStream(k.w)
	return k.put(appendRetry(nil, retryLeast+rand.N(retryMost-retryLeast))) == nil
}

// announceStream sends the headers, which tell proxies not to gather.
func announceStream(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
}

func appendRetry(b []byte, after time.Duration) []byte {
	return fmt.Appendf(b, "retry: %d\n", after.Milliseconds())
}

// serve writes what is queued until the session ends. A comment now and then keeps the connection alive and shows
// whether it is: a line of the block to come.
func (k *stream) serve(gone <-chan struct{}) {
	w := k.n.buffers.Get().(*writeBuffers)
	defer func() { k.n.buffers.Put(w.clean()) }()
	for {
		var err error
		var why closing
		select {
		case <-k.woken:
			why, err = k.flush(w)
		case <-k.due:
			err = k.put([]byte(":\n"))
		case <-gone:
			k.session.end(closing{code: codeGone})
		case <-k.killed:
			return
		}
		if err != nil {
			k.session.end(writeFailed(err))
			return
		}
		if why.code != 0 {
			return
		}
	}
}

// flush sends all that is queued, and why the stream ends if it does: in the same write, so that a slow client gets no
// more time for it.
func (k *stream) flush(w *writeBuffers) (closing, error) {
	for {
		batch, more, why := k.session.take(w.batch)
		w.batch, w.buf = batch, w.buf[:0]
		for _, it := range batch {
			w.buf = appendServerSent(w.buf, it)
		}
		if why.code != 0 && why.code != codeGone {
			w.buf = appendServerSent(w.buf, item{message: why.message()})
		}
		if err := k.put(w.buf); err != nil {
			return closing{}, err
		}
		k.session.sent(batch)
		clear(batch)
		if !more {
			return why, nil
		}
	}
}

func (k *stream) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := k.control.SetWriteDeadline(time.Now().Add(k.n.cfg.WriteTimeout)); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if _, err := k.w.Write(b); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if err := k.control.Flush(); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// message tells a client without close codes why it has to leave.
func (c closing) message() *message {
	data := append([]byte(`{"kind":"closing","code":`), strconv.Itoa(c.code)...)
	data = append(data, `,"reason":`...)
	data, _ = jsontext.AppendQuote(data, c.reason)
	return note(append(data, '}'))
}

// appendServerSent appends one message in the form of the stream. Events have no name there, so that a browser's
// onmessage gets them all, also of kinds to come; what the notifier itself says has its kind as name.
func appendServerSent(b []byte, it item) []byte {
	if !it.isEvent() {
		b = append(append(b, "event: "...), it.kind()...)
		b = append(b, '\n')
	}
	if at := it.cursor(); len(at) > 0 {
		b = append(append(b, "id: "...), at...)
		b = append(b, '\n')
	}
	b = append(b, "data: "...)
	b = it.appendText(b) // on one line, see oneLine
	return append(b, "\n\n"...)
}

// kind is what a message that is no event says it is.
func (m *message) kind() []byte {
	text, _ := bytes.CutPrefix(m.text(), []byte(`{"kind":"`))
	kind, _, _ := bytes.Cut(text, []byte{'"'})
	return kind
}

// cursor is the one in the message, if there is one. It is the last member with the name and needs no escapes, so
// nothing else can look like it.
func (m *message) cursor() []byte {
	const name = `"cursor":"`
	start := bytes.LastIndex(m.text(), []byte(name))
	if start < 0 {
		return nil
	}
	at, _, _ := bytes.Cut(m.text()[start+len(name):], []byte{'"'})
	return at
}
