package httpedge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Why a body could not be read. The first two are the client's fault, the third
// is nobody's.
var (
	// ErrTooLarge: the body has more bytes than the endpoint takes.
	ErrTooLarge = errors.New("the body is too large")
	// ErrTooSlow: the body came more slowly than at the lowest rate, or had not
	// ended when the server had to stop.
	ErrTooSlow = errors.New("the body came too slowly")
	// ErrNoRoom: others needed the room, and no sender held more of it.
	ErrNoRoom = errors.New("too many bodies are on their way")
	// ErrEncoding: the body has another Content-Encoding than [AcceptEncoding].
	ErrEncoding = errors.New("the body's Content-Encoding is not known")
	// ErrNotEncoded: the body is not what its Content-Encoding says.
	ErrNotEncoded = errors.New("the body is not what its Content-Encoding says")
	// errCutOff: the connection brought no more of it.
	errCutOff = errors.New("the body could not be read to its end")
)

// How fast a body has to come: at 16 KiB/s on average, after 10 s in which it
// need not, and at most for a minute. The largest task takes 30 s at 256 kbit/s.
const (
	bodyGrace     = 10 * time.Second
	minBodyRate   = 16 << 10 // bytes per second
	maxBodyTime   = time.Minute
	drainGrace    = time.Second
	firstBuffer   = 4 << 10
	deadlineSteps = 500 * time.Millisecond
)

// Bodies reads the bodies of requests and bounds what they take while they are
// on their way. It is safe for concurrent use.
type Bodies struct {
	now func() time.Time

	mu         sync.Mutex
	free       int64            // bytes
	held       map[string]int64 // bytes by sender, of those that hold any
	arriving   []*body          // in the order in which they began
	drainUntil time.Time        // zero unless the server stops
}

// NewBodies is a reader whose bodies take at most room bytes together while they
// are on their way. What has been read is the caller's to account for.
func NewBodies(room int64) *Bodies {
	return &Bodies{now: time.Now, free: room, held: map[string]int64{}}
}

// body is one that is on its way.
type body struct {
	sender  string
	control *http.ResponseController
	took    int64 // bytes of room
	beside  int64 // of them what decoding takes
	evicted bool  // another one has its room
}

// Read reads a request's body of at most limit bytes, decoded and as it is sent, to its end. The sender is
// who shares room with whom: the user, or the address where none is known. After
// an error the connection is closed with the answer.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, sender string, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return nil, ErrTooLarge
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	zipped, err := isZipped(r.Header)
	if err != nil {
		w.Header().Set("Connection", "close")
		w.Header().Set("Accept-Encoding", AcceptEncoding)
		return nil, err
	}
	one := b.begin(w, sender)
	from := io.Reader(r.Body)
	if zipped {
		one.beside = unzipRoom
		from = &unzip{from: io.LimitReader(r.Body, limit)}
	}
	read, err := b.read(from, one, limit)
	if evicted := b.end(one); evicted {
		err = ErrNoRoom
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		return nil, err
	}
	return read, nil
}

// bodyProblem is the answer where a body could not be read, nil for any other error.
func bodyProblem(err error) *Problem {
	var encoding *encodingError
	switch {
	case errors.As(err, &encoding) && errors.Is(err, ErrEncoding):
		return NewProblem(http.StatusUnsupportedMediaType, encoding.says)
	case errors.As(err, &encoding):
		return NewProblem(http.StatusBadRequest, encoding.says)
	case errors.Is(err, ErrTooLarge):
		return NewProblem(http.StatusRequestEntityTooLarge, "the body is larger than it may be here")
	case errors.Is(err, ErrEncoding):
		return NewProblem(http.StatusUnsupportedMediaType,
			"the body has a Content-Encoding that is not read here; send it as it is, or with Content-Encoding: gzip")
	case errors.Is(err, ErrNotEncoded):
		return NewProblem(http.StatusBadRequest, "the body is said to be gzip and is not, or it is cut off or damaged")
	case errors.Is(err, ErrTooSlow):
		return NewProblem(http.StatusRequestTimeout,
			"the body came too slowly or not to its end; send it at 16 KiB/s or more, all of it within a minute")
	case errors.Is(err, ErrNoRoom):
		return Unavailable("too many bodies are on their way and this one came for the longest; nothing was done, try again")
	case errors.Is(err, errCutOff):
		return NewProblem(http.StatusBadRequest, "the body could not be read to its end")
	}
	return nil
}

// Drain gives bodies that are still on their way a second to end: a server that
// stops does not wait for clients who take longer.
func (b *Bodies) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drainUntil = b.now().Add(drainGrace)
	for _, one := range b.arriving {
		_ = one.control.SetReadDeadline(b.drainUntil)
	}
}

func (b *Bodies) begin(w http.ResponseWriter, sender string) *body {
	one := &body{sender: sender, control: http.NewResponseController(w)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arriving = append(b.arriving, one)
	return one
}

// end gives the room back. It reports whether another body has it already.
func (b *Bodies) end(one *body) (evicted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.evicted {
		return true
	}
	b.remove(one)
	return false
}

func (b *Bodies) remove(one *body) {
	at := slices.Index(b.arriving, one)
	b.arriving = slices.Delete(b.arriving, at, at+1)
	b.take(one, -one.took)
}

// take moves n bytes between what is free and a body.
func (b *Bodies) take(one *body, n int64) {
	b.free -= n
	one.took += n
	if b.held[one.sender] += n; b.held[one.sender] == 0 {
		delete(b.held, one.sender)
	}
}

func (b *Bodies) read(from io.Reader, one *body, limit int64) ([]byte, error) {
	started, extended := b.now(), time.Time{}
	var buffer []byte
	for {
		if now := b.now(); now.Sub(extended) >= deadlineSteps {
			extended = now
			b.extend(one, deadline(started, len(buffer)))
		}
		if len(buffer) == cap(buffer) {
			size := min(max(2*int64(cap(buffer)), firstBuffer), limit+1)
			if !b.grow(one, size+one.beside) {
				return nil, ErrNoRoom
			}
			larger := make([]byte, len(buffer), size)
			copy(larger, buffer)
			buffer = larger
		}
		n, err := from.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case int64(len(buffer)) > limit:
			return nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return buffer, nil
		case isTimeout(err):
			return nil, ErrTooSlow
		case errors.Is(err, ErrNotEncoded):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errCutOff, err)
		}
	}
}

// deadline is until when a body that began at started and has brought n bytes
// has to have brought more.
func deadline(started time.Time, n int) time.Time {
	earned := bodyGrace + time.Duration(n)*time.Second/minBodyRate
	return started.Add(min(earned, maxBodyTime))
}

// extend moves the deadline of a body, unless the server stops or the body has
// lost its place.
func (b *Bodies) extend(one *body, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case one.evicted:
		return
	case !b.drainUntil.IsZero() && until.After(b.drainUntil):
		until = b.drainUntil
	}
	_ = one.control.SetReadDeadline(until) // writers that know no deadline are those of tests
}

// grow takes room for a buffer of size bytes. Where there is none, the sender that
// holds most gives up the body that has been coming for the longest: those that
// come as they should are there within milliseconds. False if that is the one
// which asks.
func (b *Bodies) grow(one *body, size int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.evicted {
		return false
	}
	for b.free < size-one.took {
		victim := b.victim(one)
		b.remove(victim)
		victim.evicted = true
		if victim == one {
			return false
		}
		_ = victim.control.SetReadDeadline(time.Unix(1, 0)) // its read ends now
	}
	b.take(one, size-one.took)
	return true
}

// victim is the oldest body of the sender that holds most, or the one that asks
// if nobody holds anything.
func (b *Bodies) victim(asks *body) *body {
	var found *body
	for _, one := range b.arriving {
		if one.took > 0 && (found == nil || b.held[one.sender] > b.held[found.sender]) {
			found = one
		}
	}
	if found == nil {
		return asks
	}
	return found
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
