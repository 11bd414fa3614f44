package listen_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/listen"
)

// socket answers Accept with what it is told, and then with connections.
type socket struct {
	mu     sync.Mutex
	errs   []error
	closed chan struct{}
	calls  int
}

func newSocket(errs ...error) *socket { return &socket{errs: errs, closed: make(chan struct{})} }

func (s *socket) Accept() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	here, there := net.Pipe()
	_ = there.Close()
	return here, nil
}

func (s *socket) Close() error   { close(s.closed); return nil }
func (s *socket) Addr() net.Addr { return &net.TCPAddr{} }

func repeat(err error, times int) []error {
	errs := make([]error, times)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// TestTemporaryErrors: none of them ends the listener, whoever has caused it, and
// the log says so without being filled.
func TestTemporaryErrors(t *testing.T) {
	for _, err := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET,
		syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.EINTR,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const times = 100
				s, log := newSocket(repeat(err, times)...), new(bytes.Buffer)
				l := listen.New(s, listen.Config{Name: "the API", Logger: slog.New(slog.NewTextHandler(log, nil))})
				defer func() { _ = l.Close() }()
				began := time.Now()
				conn, got := l.Accept()
				if got != nil {
					t.Fatalf("the listener ended with %v", got)
				}
				defer conn.Close()
				if s.calls != times+1 {
					t.Errorf("%d tries, want %d", s.calls, times+1)
				}
				lasted := time.Since(began)
				if lasted > times*time.Second {
					t.Errorf("paused for %v in all, want at most a second each", lasted)
				}
				text := log.String()
				if warnings := strings.Count(text, "level=WARN"); warnings == 0 || warnings > 1+int(lasted/(30*time.Second)) {
					t.Errorf("%d warnings in %v, want one each half minute:\n%s", warnings, lasted, text)
				}
				if !strings.Contains(text, err.Error()) || !strings.Contains(text, "accepted again") {
					t.Errorf("the log does not say what was wrong and that it is over:\n%s", text)
				}
			})
		})
	}
}

// TestRefusingIsHonest: it tells while connections cannot be accepted, and not
// for longer, also if nobody comes then.
func TestRefusingIsHonest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSocket(repeat(syscall.EMFILE, 20)...)
		l := listen.New(s, listen.Config{Name: "the API"})
		if err := l.Refusing(); err != nil {
			t.Errorf("before anything was wrong: %v", err)
		}
		accepted := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				err = conn.Close()
			}
			accepted <- err
		}()
		for range 5 {
			time.Sleep(time.Second) //nolint:forbidigo // the clock of synctest
			if err := l.Refusing(); !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "the API") {
				t.Errorf("while it lasts: %v", err)
			}
		}
		if err := <-accepted; err != nil {
			t.Error(err)
		}
		if err := l.Refusing(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		_ = l.Close()
	})
}

// quiet is a socket to which nobody comes any more.
type quiet struct{ *socket }

func (q quiet) Accept() (net.Conn, error) {
	conn, err := q.socket.Accept()
	if err == nil {
		_ = conn.Close()
		<-q.closed
		return nil, net.ErrClosed
	}
	return nil, err
}

func TestTroubleIsOverWithoutAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen.New(quiet{newSocket(syscall.EMFILE)}, listen.Config{Name: "the API"})
		ended := make(chan error, 1)
		go func() { _, err := l.Accept(); ended <- err }()
		synctest.Wait()
		if l.Refusing() == nil {
			t.Error("it does not say that it cannot accept")
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // the clock of synctest
		if err := l.Refusing(); err != nil {
			t.Errorf("5 s after the last error: %v", err)
		}
		_ = l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v, want %v", err, net.ErrClosed)
		}
		if l.Err() != nil {
			t.Errorf("closed by its owner it failed with %v", l.Err())
		}
	})
}

// TestASocketThatIsGone is no reason to try on, and told to who serves it.
func TestASocketThatIsGone(t *testing.T) {
	for _, err := range []error{syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, io.ErrUnexpectedEOF} {
		l := listen.New(newSocket(err), listen.Config{Name: "the API"})
		if _, got := l.Accept(); !errors.Is(got, err) {
			t.Errorf("accept: %v, want %v", got, err)
		}
		select {
		case <-l.Failed():
		default:
			t.Fatalf("%v: nobody is told", err)
		}
		if !errors.Is(l.Err(), err) || !errors.Is(l.Refusing(), err) {
			t.Errorf("it says %v and %v, want %v", l.Err(), l.Refusing(), err)
		}
		_ = l.Close()
	}
}

func TestCloseEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listen.New(newSocket(repeat(syscall.EMFILE, 1000)...), listen.Config{Name: "the API"})
		ended := make(chan error, 1)
		go func() { _, err := l.Accept(); ended <- err }()
		time.Sleep(10 * time.Second) //nolint:forbidigo // the clock of synctest
		synctest.Wait()
		closed := time.Now()
		_ = l.Close()
		_ = l.Close() // twice, as servers do
		if err := <-ended; !errors.Is(err, net.ErrClosed) || time.Since(closed) != 0 {
			t.Errorf("ended with %v after %v, want %v at once", err, time.Since(closed), net.ErrClosed)
		}
	})
}
