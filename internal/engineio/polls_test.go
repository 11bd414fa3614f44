package engineio_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/engineio"
)

// answer is what a request came to.
type answer struct {
	status int
	text   string
}

// poll sends a poll on a goroutine of its own.
func poll(t *testing.T, w *world, target string) <-chan answer {
	t.Helper()
	answers := make(chan answer, 1)
	go func() {
		status, text, _ := w.Try(t.Context(), http.MethodGet, target, nil)
		answers <- answer{status, text}
	}()
	synctest.Wait()
	return answers
}

// A client has one poll at a time. Two would have its messages in no order: the connection ends, and both are told.
func TestTwoPolls(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		first := poll(t, w, k.Target("polling"))
		second := <-poll(t, w, k.Target("polling"))
		if second.status != http.StatusBadRequest || !strings.Contains(second.text, "under way") {
			t.Errorf("the second poll was answered %+v", second)
		}
		if got := <-first; got.status != http.StatusOK || got.text != "1" {
			t.Errorf("the first poll was answered %+v, want a close packet", got)
		}
		if why := w.last().over(t); !errors.Is(why, engineio.ErrProtocol) {
			t.Errorf("ended with %v", why)
		}
	})
}

// A poll and the goodbye travel on different connections: a poll that comes a moment after the goodbye is answered,
// once.
func TestPollThatTheGoodbyeOvertook(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		want  int
	}{"at once": {0, http.StatusOK}, "a moment later": {40 * time.Millisecond, http.StatusOK},
		"much later": {time.Second, http.StatusBadRequest}} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
				k := w.Open(path)
				k.Says("1")
				<-time.After(test.after)
				got := <-poll(t, w, k.Target("polling"))
				if got.status != test.want || test.want == http.StatusOK && got.text != "6" {
					t.Errorf("the poll was answered %+v", got)
				}
				k.Gone()
				if why := w.last().over(t); !errors.Is(why, engineio.ErrGone) {
					t.Errorf("ended with %v", why)
				}
			})
		})
	}
}

// A poll that its client gives up takes the connection with it: what was answered to it would be lost without a word.
func TestPollThatIsGivenUp(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, _, err := w.Try(ctx, http.MethodGet, k.Target("polling"), nil); err == nil {
			t.Fatal("the poll was answered")
		}
		if why := <-w.last().closed; !errors.Is(why, engineio.ErrGone) {
			t.Errorf("ended with %v", why)
		}
		if err := w.last().conn.Send(t.Context(), engineio.Message{Data: []byte("late")}); !errors.Is(err, engineio.ErrGone) {
			t.Errorf("who sends is told %v", err)
		}
		k.Gone()
	})
}
