package engineio_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/engineio"
)

// What was sent before, during and after the upgrade arrives once and in order.
func TestUpgradeKeepsOrder(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		e := w.last()
		e.send(t, "1", "2")
		k.Wants("41\x1e42")
		k.Says("4a")
		ws := k.Probed()
		e.send(t, "3")
		k.Wants("43")
		k.Wants("6")
		e.send(t, "4", "5")
		ws.Says("5")
		ws.Says("4b")
		ws.Wants("44", "45")
		e.send(t, "6")
		ws.Wants("46")
		if got := e.heard(); got != "a b" || e.conn.Transport() != engineio.WebSocket {
			t.Errorf("heard %q by %s", got, e.conn.Transport())
		}
		if status, _ := k.Post("4c"); status != 400 {
			t.Errorf("a post after the upgrade was answered %d", status)
		}
		ws.Says("2")
		if code, _ := ws.Closed(); code != 1008 { // a ping is the server's
			t.Errorf("closed with %d", code)
		}
		if why := e.over(t); !errors.Is(why, engineio.ErrProtocol) {
			t.Errorf("ended with %v", why)
		}
	})
}

// A WebSocket that does not go through with it leaves the client to its polls.
func TestFailedUpgrade(t *testing.T) {
	for name, said := range map[string][]string{
		"nothing": {}, "no probe": {"4hello"}, "other ping": {"2prob"}, "no switch": {"2probe"},
		"message instead": {"2probe", "4hello"}, "garbage": {"\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, engineio.Config{UpgradeTimeout: time.Second}, func(t *testing.T, w *world) {
				k := w.Open(path)
				ws := k.Probe()
				for _, text := range said {
					ws.Says(text)
					if text == "2probe" {
						ws.Wants("3probe")
					}
				}
				if code, reason := ws.Closed(); code != 1008 || reason == "" {
					t.Errorf("closed with %d %q", code, reason)
				}
				w.last().send(t, "still here")
				k.Wants("4still here")
				k.Says("4me too")
				again := k.Upgrade()
				w.last().send(t, "now")
				again.Wants("4now")
				if got := w.last().heard(); got != "me too" {
					t.Errorf("heard %q: a probe's frames are no messages", got)
				}
			})
		})
	}
}

func TestTwoUpgrades(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		first := k.Probe()
		synctest.Wait() // until it is the one
		second := k.Probe()
		if code, _ := second.Closed(); code != 1008 {
			t.Errorf("closed with %d", code)
		}
		first.Says("2probe")
		first.Wants("3probe")
		first.Says("5")
		w.last().send(t, "hello")
		first.Wants("4hello")
	})
}

// The connection may end while its WebSocket is still probing.
func TestEndWhileUpgrading(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		ws := k.Probed()
		w.last().conn.End(0, 4000, errEnough)
		synctest.Wait()
		if _, _, err := ws.ReadMessage(); err == nil {
			t.Error("the WebSocket goes on")
		}
		k.Gone()
	})
}

// Last words that were given while the client changes over take the new way.
func TestLastWordsWhileUpgrading(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		ws := k.Probed()
		w.last().send(t, "last")
		w.last().conn.End(time.Second, 4000, errEnough)
		ws.Says("5")
		ws.Wants("4last")
		if code, reason := ws.Closed(); code != 4000 || reason != "enough" {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
}
