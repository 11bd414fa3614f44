package notifier

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/auth"
)

// guest is a Socket.IO client in memory, by either transport.
type guest struct {
	says func(text string)
	next func() string // what comes
}

// guests open a Socket.IO connection each and join the main namespace without a word about who they are.
func (m *memory) guests(t *testing.T) []guest {
	t.Helper()
	polling, socket := m.Open("/socket.io/"), m.OpenSocket("/socket.io/")
	all := []guest{
		{polling.Says, func() string { _, text := polling.Poll(); return text }},
		{socket.Says, func() string { _, text := socket.Next(); return text }},
	}
	for _, k := range all {
		k.says("40")
		wantIn(t, k.next(), `40{"sid":"`)
	}
	return all
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Fatalf("got %.300s, want %s in it", text, part)
		}
	}
}

// A place is not for who does not say who it is: it is asked, and ended after as long again.
func TestSocketIOAnonymous(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	minter, err := auth.NewSecretMinter(path)
	if err != nil {
		t.Fatal(err)
	}
	inMemory(t, func(c *Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
	}, func(t *testing.T, m *memory) {
		token, err := minter.Mint(auth.Grant{User: "ada", From: time.Now(), For: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		known := m.OpenSocket("/socket.io/")
		known.Says("40")
		_, _ = known.Next()
		go known.Says(`427["register",{"token":"` + token + `"}]`)
		_, hello := known.Next()
		_, answer := known.Next()
		wantIn(t, hello+answer, `42["hello",`, `437[{"ok":true,"user_id":"ada"`)

		for _, k := range m.guests(t) {
			wantIn(t, k.next(), `42["error",`, `"title":"register required"`, "{token}", `"final":false`)
			wantIn(t, k.next(), `42["closing",`, fmt.Sprint(`"code":`, CloseUnauthenticated), "no token came")
		}
		go known.Says(`428["ping",{"n":1}]`) // who did may stay
		known.Wants(`42["pong",{"n":1}]`, `438[]`)
		synctest.Wait()
		if places := m.open.Load(); places != 1 {
			t.Errorf("%d places are taken, want that of who said it", places)
		}
	})
}

// With auth off it is asked too, may stay, and may still register; who has is not asked.
func TestSocketIOIsAskedWhoItIs(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, m *memory) {
		known := m.OpenSocket("/socket.io/")
		go known.Says(`40{"user_id":"ada"}`)
		for _, want := range []string{`40{"sid":"`, `42["hello",`} {
			_, text := known.Next()
			wantIn(t, text, want)
		}
		for _, k := range m.guests(t) {
			wantIn(t, k.next(), `42["error",`, `"status":401`, "{user_id}", `"final":false`)
			go k.says(`427["register",{"user_id":"ada"}]`)
			answer := k.next()
			if strings.Contains(answer, `42["hello",`) != strings.Contains(answer, `437[{"ok":true`) {
				answer += k.next() // they may come together
			}
			wantIn(t, answer, `42["hello",`, `437[{"ok":true,"user_id":"ada"`)
		}
		go known.Says(`428["ping",{"n":1}]`)
		known.Wants(`42["pong",{"n":1}]`, `438[]`)
	})
}
