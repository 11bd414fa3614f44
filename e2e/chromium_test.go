//go:build clients

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	// watches of the browser's client have outages side by side.
	outageWatches = 40
	// aMinute is how long a watch may take to come back to a WebSocket.
	aMinute = time.Minute
)

// outages is how many there are in all; TASKLANE_OUTAGES says another number.
func outages(t *testing.T) int {
	text := os.Getenv("TASKLANE_OUTAGES")
	if text == "" {
		return 3 * outageWatches
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		t.Fatalf("TASKLANE_OUTAGES=%s is no number of outages", text)
	}
	return count
}

// TestForeignClientsInChromium: client.js in a real browser, over outages of 0.1 to 5 s:
// nothing is missed or comes twice, it is back on a WebSocket within a minute each time,
// and a watch never has more than one connection.
func TestForeignClientsInChromium(t *testing.T) {
	i := newInstallation(t)
	page := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	defer page.Close()
	s := i.up(t, "--cors-allowed-origins", page.URL)
	user := "browser"
	query := url.Values{"module": {"http://" + i.notifier}, "user": {user}}
	relays := make([]*relay, outageWatches)
	for n := range relays {
		relays[n] = newRelay(t, i.notifier)
		query.Add("address", "http://"+relays[n].address)
	}
	tab := openPage(t, page.URL+"/outages.html?"+query.Encode())

	truth := watch(t, s.notifier, user, "earliest")
	a := newAPI(t, s.api)
	load, stop := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() {
		for n := 0; load.Err() == nil; n++ {
			a.submitEcho(load, user, fmt.Sprint("during-", n))
			pause(load, 250*time.Millisecond)
		}
	})
	haveOutages(t, relays, outages(t))
	stop()
	loading.Wait()
	a.must(202, "POST", "/v1/tasks", echoTask(user, "last"))

	var want []string
	for last := false; !last; {
		event := truth.next()
		if id, ok := event["event_id"].(string); ok {
			want = append(want, id)
		}
		last = event["task_id"] == "last" && ended(event)
	}
	var got []watched
	waitFor(t, "all watches to have the last event", func() bool {
		got = tab.report()
		return !slices.ContainsFunc(got, func(w watched) bool { return len(w.Events) < len(want) && w.Ended == "" })
	})
	if len(got) != len(relays) {
		t.Fatalf("the page has %d watches, want %d", len(got), len(relays))
	}
	for _, w := range got {
		if !slices.Equal(w.Events, want) {
			t.Errorf("%s: %d events, want %d; the first that differs is %d", w.Host, len(w.Events), len(want),
				differs(w.Events, want))
		}
		if w.Most != 1 || w.State != "open" || w.Ended != "" || len(w.Gaps) > 0 {
			t.Errorf("%s: at most %d connections, %s %s, gaps %v", w.Host, w.Most, w.State, w.Ended, w.Gaps)
		}
	}
	s.terminate()
}

// haveOutages breaks every relay again and again, and waits each time until its client is
// back.
func haveOutages(t *testing.T, relays []*relay, count int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	for n, r := range relays {
		all.Go(func() {
			for turn := range (count + len(relays) - 1 - n) / len(relays) {
				if err := r.untilWebSocket(t.Context()); err != nil {
					t.Errorf("outage %d of %s: %v", turn, r.address, err)
					return
				}
				pause(t.Context(), time.Duration(rand.Int64N(int64(time.Second))))
				r.begin()
				pause(t.Context(), 100*time.Millisecond+time.Duration(rand.Int64N(int64(4900*time.Millisecond))))
				r.over()
				began := time.Now()
				if err := r.untilWebSocket(t.Context()); err != nil {
					t.Errorf("outage %d of %s: %v", turn, r.address, err)
					return
				}
				mu.Lock()
				slowest = max(slowest, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d outages; the slowest way back to a WebSocket took %v", count, slowest.Round(time.Millisecond))
}

// untilWebSocket waits until the relay's client has a WebSocket and nothing else.
func (r *relay) untilWebSocket(ctx context.Context) error {
	late := time.Now().Add(aMinute)
	for time.Now().Before(late) {
		if slices.Equal(r.paths(), []string{"/ws"}) {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("after a minute it has %v, not one WebSocket", r.paths())
}

// submitEcho submits a small task; while the test ends it may fail.
func (a *api) submitEcho(ctx context.Context, user, id string) {
	if status, answer, err := a.call(ctx, "POST", "/v1/tasks", echoTask(user, id)); ctx.Err() == nil &&
		(err != nil || status != http.StatusAccepted) {
		a.t.Errorf("submit %s: %d %v %v", id, status, answer, err)
	}
}

func echoTask(user, id string) map[string]any {
	return map[string]any{"task_id": id, "user_id": user, "lane": "fast", "mode": "debug", "service": "echo",
		"task_name": "echo", "input_data": map[string]any{"text": id}}
}

// watched is what the page says of a watch.
type watched struct {
	Host   string   `json:"host"`
	State  string   `json:"state"`
	Events []string `json:"events"`
	Gaps   []string `json:"gaps"`
	Ended  string   `json:"ended"`
	Most   int      `json:"most"` // connections at a time
}

// tab is a page that is open in Chromium.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// openPage opens an address in a browser that ends with the test.
func openPage(t *testing.T, address string) *tab {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && program == "" {
			program = found
		}
	}
	if program == "" {
		t.Fatal("there is no Chromium; run scripts/clients/setup.sh")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	// it is closed after the test
	browser, closeBrowser := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	var said []string
	ctx, closeTab := chromedp.NewContext(browser,
		chromedp.WithErrorf(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closeTab()
		closeBrowser()
		if t.Failed() {
			t.Logf("the browser said: %s", strings.Join(said, "\n"))
		}
	})
	if _, err := chromedp.Run(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("globalThis.report !== undefined")); err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	return &tab{t: t, ctx: ctx}
}

func (b *tab) report() []watched {
	b.t.Helper()
	watches, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]watched]("report()"))
	if err != nil {
		b.t.Fatalf("ask the page: %v", err)
	}
	return watches
}

// differs is the first place where two lists do.
func differs(a, b []string) int {
	for n := range min(len(a), len(b)) {
		if a[n] != b[n] {
			return n
		}
	}
	return min(len(a), len(b))
}
