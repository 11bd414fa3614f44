package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

// numbered is a source of tokens token-1, token-2 and so on.
func numbered(asked *atomic.Int64) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return fmt.Sprint("token-", asked.Add(1)), nil }
}

// needs is an API that takes one token only.
func needs(t *testing.T, token string, requests *atomic.Int64) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+token {
			answerWith(http.StatusUnauthorized, `{"title":"Unauthorized"}`)(w, r)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"task_id":"t-1","lane":"fast","status":"pending"}`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestACallAsksForAnotherTokenOnce(t *testing.T) {
	for _, c := range []struct {
		valid           string
		asked, requests int64
		status          int // of the error
	}{
		{"token-1", 1, 1, 0},
		{"token-2", 2, 2, 0},
		{"token-3", 2, 2, http.StatusUnauthorized},
	} {
		var asked, requests atomic.Int64
		client := newTestClient(t, Config{Server: needs(t, c.valid, &requests), TokenSource: numbered(&asked)})
		_, err := client.Submit(t.Context(), schemas.LaneFast, schemas.Task{UserID: "alice"})
		var refused *APIError
		if errors.As(err, &refused) != (c.status != 0) || refused != nil && refused.Status != c.status {
			t.Errorf("%s: error %v", c.valid, err)
		}
		if asked.Load() != c.asked || requests.Load() != c.requests {
			t.Errorf("%s: %d tokens for %d requests, want %d and %d", c.valid, asked.Load(), requests.Load(), c.asked,
				c.requests)
		}
	}
}

func TestATokenIsKept(t *testing.T) {
	var asked, requests atomic.Int64
	client := newTestClient(t, Config{Server: needs(t, "token-1", &requests), TokenSource: numbered(&asked)})
	for range 3 {
		if _, err := client.Submit(t.Context(), schemas.LaneFast, schemas.Task{UserID: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 || requests.Load() != 3 {
		t.Errorf("%d tokens for %d requests", asked.Load(), requests.Load())
	}
}

func TestAFixedTokenIsNotRenewed(t *testing.T) {
	var requests atomic.Int64
	client := newTestClient(t, Config{Server: needs(t, "other", &requests), Token: "mine"})
	_, err := client.Submit(t.Context(), schemas.LaneFast, schemas.Task{UserID: "alice"})
	var refused *APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || requests.Load() != 1 {
		t.Errorf("error %v after %d requests", err, requests.Load())
	}
}

func TestASourceThatFailsEndsTheCall(t *testing.T) {
	broken := errors.New("no token today")
	var requests atomic.Int64
	client := newTestClient(t, Config{
		Server:      needs(t, "token", &requests),
		TokenSource: func(context.Context) (string, error) { return "", broken },
	})
	if _, err := client.Submit(t.Context(), schemas.LaneFast, schemas.Task{UserID: "alice"}); !errors.Is(err, broken) ||
		requests.Load() != 0 {
		t.Errorf("error %v after %d requests", err, requests.Load())
	}
}

func TestASourceThatCannotBeReachedIsAskedAgain(t *testing.T) {
	var asked, requests atomic.Int64
	client := newTestClient(t, Config{Server: needs(t, "token", &requests),
		TokenSource: func(context.Context) (string, error) {
			if asked.Add(1) < 3 {
				return "", fmt.Errorf("the identity provider: %w", ErrUnreachable)
			}
			return "token", nil
		}})
	if _, err := client.Submit(t.Context(), schemas.LaneFast, schemas.Task{UserID: "alice"}); err != nil ||
		asked.Load() != 3 {
		t.Errorf("error %v after asking %d times", err, asked.Load())
	}
}

func TestWaitingForTheSourceEndsWithTheContext(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	source := newTokens("", func(context.Context) (string, error) {
		close(entered)
		<-leave
		return "token", nil
	})
	done := make(chan string)
	go func() {
		token, _ := source.get(context.Background(), "")
		done <- token
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.get(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(leave)
	if token := <-done; token != "token" {
		t.Errorf("token %q", token)
	}
}

func TestTokenAndSourceExclude(t *testing.T) {
	var asked atomic.Int64
	if _, err := New(Config{Token: "mine", TokenSource: numbered(&asked)}); err == nil {
		t.Error("both were taken")
	}
}

// TestAWatchGetsAnotherToken: one that is refused in the handshake, and one that
// ends while it is watched.
func TestAWatchGetsAnotherToken(t *testing.T) {
	for _, late := range []bool{false, true} {
		var asked atomic.Int64
		notifier := &fakeNotifier{events: 2, valid: "token-2", late: late}
		c := newTestClient(t, Config{Notifier: startNotifier(t, notifier), TokenSource: numbered(&asked)})
		got, err := take(t.Context(), c, WatchRequest{Since: SinceEarliest}, 2)
		if err != nil {
			t.Fatalf("late %v: %v", late, err)
		}
		wantInOrder(t, got, 2)
		if want := []string{"token-1", "token-2"}; !slices.Equal(notifier.offers, want) {
			t.Errorf("late %v: tokens %v, want %v", late, notifier.offers, want)
		}
	}
}

func TestAWatchEndsWhenNoTokenIsTaken(t *testing.T) {
	var asked atomic.Int64
	notifier := &fakeNotifier{valid: "another"}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier), TokenSource: numbered(&asked)})
	_, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 1)
	var refused *APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || asked.Load() != 2 {
		t.Errorf("error %v after %d tokens", err, asked.Load())
	}
}
