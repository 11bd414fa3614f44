package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"
)

// take watches until it has n events or an error.
func take(ctx context.Context, c *Client, request WatchRequest, n int) ([]string, error) {
	var got []string
	for event, err := range c.Watch(ctx, request) {
		if err != nil {
			return got, err
		}
		got = append(got, event.TaskID)
		if len(got) == n {
			break
		}
	}
	return got, nil
}

func wantInOrder(t interface{ Fatalf(string, ...any) }, got []string, n int) {
	if len(got) != n {
		t.Fatalf("%d events, want %d", len(got), n)
	}
	for i, id := range got {
		if id != fmt.Sprintf("t-%d", i) {
			t.Fatalf("event %d is of %s", i, id)
		}
	}
}

func TestWatchGivesEveryEventOnceWhateverBreaks(t *testing.T) {
	notifier := &fakeNotifier{}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	rapid.Check(t, func(rt *rapid.T) {
		quotas := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 6).Draw(rt, "quotas")
		events := rapid.IntRange(1, 20).Draw(rt, "events")
		batch := rapid.IntRange(0, 5).Draw(rt, "batch")
		closed := rapid.SampledFrom([]int{0, websocket.CloseGoingAway, websocket.CloseTryAgainLater,
			websocket.CloseInternalServerErr, 4000, 4008, 4500}).Draw(rt, "code")
		notifier.mu.Lock()
		notifier.quotas, notifier.events, notifier.closed, notifier.batch = quotas, events, closed, batch
		notifier.mu.Unlock()
		got, err := take(t.Context(), c, WatchRequest{UserID: "alice", Since: SinceEarliest}, events)
		if err != nil {
			rt.Fatalf("ended: %v", err)
		}
		wantInOrder(rt, got, events)
	})
}

func TestWatchFromNowMissesNothingAfterItsFirstHello(t *testing.T) {
	// The first connection breaks before its first event; events that come
	// before the second must not be lost to a later "now".
	notifier := &fakeNotifier{quotas: []int{0}}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	connected := 0
	request := WatchRequest{UserID: "alice", Connected: func(hello Hello) {
		if connected++; connected == 1 {
			if hello.Cursor != "c0" || !hello.Recovered {
				t.Errorf("hello %+v", hello)
			}
			notifier.add(3)
		}
	}}
	got, err := take(t.Context(), c, request, 3)
	if err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, got, 3)
	if connected < 2 {
		t.Errorf("%d connections, want two", connected)
	}
}

func TestWatchAsksForWhatItsCallerWants(t *testing.T) {
	notifier := &fakeNotifier{events: 1}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier) + "/base"})
	if _, err := take(t.Context(), c, WatchRequest{UserID: "ali ce", TaskID: "t-0", BatchID: "b 1", Since: "c0"},
		1); err != nil {
		t.Fatal(err)
	}
	query, err := url.ParseQuery(notifier.handshakes()[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"user_id": "ali ce", "task_id": "t-0", "batch_id": "b 1", "since": "c0"} {
		if got := query.Get(name); got != want {
			t.Errorf("parameter %s is %q, want %q", name, got, want)
		}
	}
}

func TestWatchStopsOnARefusal(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 410} {
		notifier := &fakeNotifier{first: answerWith(status, `{"title":"no","detail":"this user is not yours"}`)}
		c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
		_, err := take(t.Context(), c, WatchRequest{UserID: "bob"}, 1)
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != status || refused.Detail != "this user is not yours" {
			t.Errorf("status %d: error %v", status, err)
		}
		if got := len(notifier.handshakes()); got != 1 {
			t.Errorf("status %d: %d handshakes", status, got)
		}
	}
}

func TestWatchSaysWhoseEventsItCannotHave(t *testing.T) {
	for user, want := range map[string]string{"bob": "watch events of bob: 401", "": "watch events: 401"} {
		notifier := &fakeNotifier{first: answerWith(http.StatusUnauthorized, `{"title":"no"}`)}
		c := newTestClient(t, Config{Notifier: startNotifier(t, notifier), Token: "t"})
		if _, err := take(t.Context(), c, WatchRequest{UserID: user}, 1); err == nil ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("user %q: %v, want %q", user, err, want)
		}
	}
}

func TestWatchStopsOnACloseForGood(t *testing.T) {
	for code, status := range map[int]int{
		4401: 401, 4403: 403, 4410: 410,
		websocket.ClosePolicyViolation: 403, websocket.CloseUnsupportedData: 400, websocket.CloseMessageTooBig: 400,
	} {
		notifier := &fakeNotifier{quotas: []int{0}, closed: code}
		c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
		_, err := take(t.Context(), c, WatchRequest{UserID: "bob"}, 1)
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != status || refused.Detail != "go away" {
			t.Errorf("code %d: error %v", code, err)
		}
	}
}

func TestWatchComesBackWhenTheNotifierDoes(t *testing.T) {
	notifier := &fakeNotifier{events: 2, first: refuseWith(http.StatusServiceUnavailable, "1", "")}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	done := make(chan error, 1)
	go func() {
		_, err := take(t.Context(), c, WatchRequest{UserID: "alice", Since: SinceEarliest}, 2)
		done <- err
	}()
	for len(notifier.handshakes()) < 3 {
		select {
		case err := <-done:
			t.Fatalf("gave up: %v", err)
		default:
		}
	}
	notifier.stopRefusing()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWatchGivesUp(t *testing.T) {
	inBubble(t, Config{GiveUpAfter: time.Minute}, nil, func(t *testing.T, c *Client) {
		if _, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 1); !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	notifier := &fakeNotifier{events: 1}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for event, err := range c.Watch(ctx, WatchRequest{UserID: "alice", Since: SinceEarliest}) {
		if event.TaskID == "t-0" {
			cancel() // with the connection open and quiet
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || errors.Is(last, ErrUnreachable) {
		t.Errorf("ended with %v", last)
	}
}

func TestWatchNeedsAUser(t *testing.T) {
	c := newTestClient(t, Config{})
	if _, err := take(t.Context(), c, WatchRequest{}, 1); err == nil {
		t.Error("no error")
	}
}

func TestASilentConnectionIsMadeAgain(t *testing.T) {
	notifier := &fakeNotifier{silent: true}
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	c.timing.ping, c.timing.silence = 5*time.Millisecond, 20*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	connected := 0
	request := WatchRequest{UserID: "alice", Connected: func(Hello) {
		if connected++; connected == 3 {
			cancel()
		}
	}}
	if _, err := take(ctx, c, request, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after %d connections", err, connected)
	}
}

func TestPingsKeepAQuietConnection(t *testing.T) {
	notifier := &fakeNotifier{}
	inBubble(t, Config{Token: "secret"}, notifier, func(t *testing.T, c *Client) {
		connected := 0
		request := WatchRequest{UserID: "alice", Connected: func(Hello) { connected++ }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := take(ctx, c, request, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if connected != 1 {
			t.Errorf("%d connections, want one", connected)
		}
	})
}

func TestWatchRefusesWhatItCannotUnderstand(t *testing.T) {
	for _, text := range []string{
		"no JSON", `{"kind":"state"`, `{"kind":"state","event_id":"fast/0-1-1"}`, `[]`,
	} {
		c := newTestClient(t, Config{Notifier: startRaw(t, text)})
		if _, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 1); !errors.Is(err, errMalformed) {
			t.Errorf("message %s: error %v", text, err)
		}
	}
}

func TestWatchPassesOverKindsItDoesNotKnow(t *testing.T) {
	c := newTestClient(t, Config{Notifier: startRaw(t, `{"kind":"pong"}`, `{"kind":"news","cursor":"c9"}`, eventText(0))})
	got, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, got, 1)
}

// Without a token the watch says that none will come, so that a notifier that wants one refuses it at once and
// does not wait for a first message.
func TestAWatchWithoutATokenSaysSo(t *testing.T) {
	for token, want := range map[string]string{"": `{"kind":"auth"}`, "ey": ""} {
		said := make(chan string, 1)
		f := &fakeNotifier{events: 1}
		f.first = func(w http.ResponseWriter, r *http.Request) {
			upgrader := websocket.Upgrader{}
			ws, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = ws.Close() }()
			f.stopRefusing()
			patience := 30 * time.Second
			if token != "" {
				patience = 50 * time.Millisecond // nothing comes, however long it is
			}
			_ = ws.SetReadDeadline(time.Now().Add(patience))
			_, text, _ := ws.ReadMessage()
			said <- string(text)
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4401, "who are you"),
				time.Now().Add(time.Second))
		}
		c := newTestClient(t, Config{Notifier: startNotifier(t, f), Token: token})
		_, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 1)
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			t.Errorf("with token %q: %v, want a refusal", token, err)
		}
		if got := <-said; got != want {
			t.Errorf("with token %q the watch said %q first, want %q", token, got, want)
		}
	}
}

func TestAResumeNoteMovesTheCursor(t *testing.T) {
	notifier := &fakeNotifier{events: 3}
	raw := func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.Close() }()
		notifier.stopRefusing()
		_ = writeText(ws, `{"kind":"hello","cursor":"c0","recovered":true}`)
		_ = writeText(ws, `{"kind":"resume","cursor":"c2"}`)
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4008, "slow"), time.Now().Add(time.Second))
	}
	notifier.first = raw
	c := newTestClient(t, Config{Notifier: startNotifier(t, notifier)})
	got, err := take(t.Context(), c, WatchRequest{UserID: "alice", Since: SinceEarliest}, 1)
	if err != nil || len(got) != 1 || got[0] != "t-2" {
		t.Errorf("got %v, %v, want only the event after the noted cursor", got, err)
	}
}

func TestABatchMayHoldEmptyLines(t *testing.T) {
	c := newTestClient(t, Config{Notifier: startBatch(t, "\n"+eventText(0)+"\n\n"+eventText(1)+"\n", "", eventText(2))})
	got, err := take(t.Context(), c, WatchRequest{UserID: "alice"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, got, 3)
}

// startRaw is a notifier that sends the given messages on every connection.
func startRaw(t *testing.T, messages ...string) string {
	t.Helper()
	return startFrames(t, websocket.Upgrader{}, messages...)
}

// startBatch is one whose frames are batches.
func startBatch(t *testing.T, frames ...string) string {
	t.Helper()
	return startFrames(t, websocket.Upgrader{Subprotocols: []string{protocolBatch}}, frames...)
}

func startFrames(t *testing.T, upgrader websocket.Upgrader, messages ...string) string {
	t.Helper()
	f := &fakeNotifier{}
	f.first = func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.Close() }()
		for _, text := range messages {
			if writeText(ws, text) != nil {
				return
			}
		}
		f.drain(ws)
	}
	return startNotifier(t, f)
}
