package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var errFault = errors.New("the store is away")

// world is two processes on one bucket, what they were told is stored, and a bucket that fails.
type world struct {
	now    time.Time
	bucket *memory
	stores [2]*Store
	budget int // calls until the bucket fails; below 0 it does not
	after  bool
	// between is called once, before the call at which wait is 0: what another process does meanwhile.
	between func()
	wait    int
	named   map[modelKey]bool
	model   map[modelKey]modelFile
}

// fatal is what a test and a property have in common.
type fatal interface{ Fatal(args ...any) }

type modelKey struct{ user, content string }

type modelFile struct {
	name    string
	expires time.Time
	maybe   bool // a call about it failed: it may be there or not
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func newWorld(t fatal, dir string) *world {
	w := &world{
		now: time.Unix(1_800_000_000, 0), budget: -1, named: map[modelKey]bool{}, model: map[modelKey]modelFile{},
	}
	w.bucket = newMemory(func() time.Time { return w.now })
	w.bucket.fault = func(string, string) (error, bool) {
		if w.wait--; w.between != nil && w.wait < 0 {
			meanwhile := w.between
			w.between = nil
			meanwhile()
		}
		if w.budget == 0 {
			return errFault, w.after
		}
		w.budget = max(-1, w.budget-1)
		return nil, false
	}
	for i := range w.stores {
		w.stores[i] = w.newStore(t, dir)
	}
	return w
}

func (w *world) newStore(t fatal, dir string) *Store {
	s, _, err := New(Config{Dir: dir, Retention: 48 * time.Hour, now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	s.bucket, s.free = w.bucket, func(string) (int64, bool) { return 0, false }
	return s
}

func (w *world) visitNamed(_ context.Context, visit func(user, hash string)) error {
	for key := range w.named {
		visit(key.user, hashText(key.content))
	}
	return nil
}

// forget notes which files may be gone from now on: they have expired, and no task names them.
func (w *world) forget() {
	held := map[modelKey]bool{}
	for key := range w.named {
		held[key], held[modelKey{Everybody, key.content}] = true, true
	}
	for key, file := range w.model {
		if !held[key] && !w.now.Before(file.expires) {
			file.maybe = true
			w.model[key] = file
		}
	}
}

// failing has the bucket fail within the call, at a call of its own, and from there on: the process is
// dead. Then another one takes its place.
func (w *world) failing(t *rapid.T, dir string, at int, do func(s *Store)) {
	if at == 0 {
		do(w.stores[rapid.IntRange(0, 1).Draw(t, "process")])
		return
	}
	w.budget, w.after = at-1, rapid.Bool().Draw(t, "the call is done all the same")
	i := rapid.IntRange(0, 1).Draw(t, "process")
	do(w.stores[i])
	w.budget = -1
	w.stores[i] = w.newStore(t, dir)
}

func (w *world) put(t *rapid.T, s *Store, key modelKey, name string) { w.putFor(t, s, key, name, 0) }

// putFor stores a file for longer than others.
func (w *world) putFor(t *rapid.T, s *Store, key modelKey, name string, more time.Duration) {
	u, err := s.Create(key.user)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := io.WriteString(u, key.content); err != nil {
		t.Fatal(err)
	}
	began := w.now
	info, err := u.Commit(context.Background(), name, "text/plain", more)
	old, had := w.model[key]
	if err != nil {
		old.maybe = true
		if !had {
			old.expires = w.now
		}
		w.model[key] = old
		return
	}
	if info.Hash != hashText(key.content) || info.Size != int64(len(key.content)) || info.User != key.user ||
		info.ExpiresAt.Before(began.Add(48*time.Hour+more)) {
		t.Fatalf("stored %+v", info)
	}
	if had && !old.maybe && w.now.Before(old.expires) && info.ExpiresAt.Before(old.expires) {
		t.Fatalf("%v expires at %v, and would have at %v", key, info.ExpiresAt, old.expires)
	}
	w.model[key] = modelFile{name: name, expires: info.ExpiresAt}
}

// check reads everything as every user.
func (w *world) check(t *rapid.T, users, contents []string) {
	for _, content := range contents {
		for _, user := range users {
			key := modelKey{user, content}
			file, has := w.model[key]
			shared, forAll := w.model[modelKey{Everybody, content}]
			c, err := w.stores[0].Open(context.Background(), user, hashText(content))
			needed := w.named[key] || w.now.Before(file.expires)
			neededShared := forAll && !shared.maybe && (w.named[key] || w.now.Before(shared.expires))
			switch {
			case neededShared && err != nil:
				t.Fatalf("%q of everybody cannot be opened by %q: %v", content, user, err)
			case has && !file.maybe && needed && err != nil:
				t.Fatalf("%q of %q cannot be opened: %v", content, user, err)
			case !has && !forAll && err == nil:
				t.Fatalf("%q can be opened by %q, who has never had it", content, user)
			case err != nil && !errors.Is(err, ErrNotFound):
				t.Fatalf("%q of %q: %v", content, user, err)
			case err != nil:
				continue
			}
			text, err := io.ReadAll(c)
			_ = c.Close()
			sure := has && !file.maybe && needed || neededShared
			if sure && (err != nil || string(text) != content) {
				t.Fatalf("%q of %q reads %q, %v", content, user, text, err)
			}
			if sure && has && !file.maybe && c.Info.User == user && c.Info.Name != file.name {
				t.Fatalf("%q of %q is called %q, want %q", content, user, c.Info.Name, file.name)
			}
		}
	}
}

// TestStoreKeepsWhatItSays puts two processes on one bucket, which dies in the middle of anything,
// and compares with what they said is stored: it can be read by who stored it and by nobody else until it
// has expired, and in the end nothing is left.
func TestStoreKeepsWhatItSays(t *testing.T) {
	dir := t.TempDir()
	users, contents := []string{"ada", "bob", Everybody}, []string{"", "x", strings.Repeat("long ", 100)}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, dir)
		key := rapid.Custom(func(t *rapid.T) modelKey {
			return modelKey{rapid.SampledFrom(users).Draw(t, "user"), rapid.SampledFrom(contents).Draw(t, "content")}
		})
		fails := func() int { return max(0, rapid.IntRange(-12, 12).Draw(t, "fails at")) }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, name := key.Draw(t, "file"), rapid.SampledFrom([]string{"", "a.txt", "b"}).Draw(t, "name")
				more := rapid.SampledFrom([]time.Duration{0, 0, 24 * time.Hour}).Draw(t, "more")
				w.failing(t, dir, fails(), func(s *Store) { w.putFor(t, s, k, name, more) })
			},
			"put while another process sweeps": func(t *rapid.T) {
				k := key.Draw(t, "file")
				w.wait = rapid.IntRange(0, 8).Draw(t, "at call")
				passes := rapid.IntRange(1, 3).Draw(t, "passes")
				hours := rapid.SampledFrom([]int{0, 0, 1, 50}).Draw(t, "hours")
				w.between = func() {
					for range passes {
						w.now = w.now.Add(time.Duration(hours) * time.Hour)
						if err := w.stores[1].sweep(context.Background(), w.visitNamed); err != nil {
							t.Fatal(err)
						}
					}
				}
				w.put(t, w.stores[0], k, "c")
				w.between = nil
			},
			"sweep while another process puts": func(t *rapid.T) {
				k := key.Draw(t, "file")
				w.wait = rapid.SampledFrom([]int{0, 1, 2, 60, 240, 241, 242, 370, 371, 509, 510, 511, 512, 513, 514}).Draw(t,
					"at call")
				w.between = func() { w.put(t, w.stores[0], k, "d") }
				if err := w.stores[1].sweep(context.Background(), w.visitNamed); err != nil {
					t.Fatal(err)
				}
				w.between = nil
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "file")
				w.failing(t, dir, fails(), func(s *Store) {
					err := s.Delete(context.Background(), k.user, hashText(k.content))
					if file, has := w.model[k]; err == nil {
						delete(w.model, k)
					} else if has && !errors.Is(err, ErrNotFound) {
						file.maybe = true
						w.model[k] = file
					} else if has && !file.maybe && w.now.Before(file.expires) {
						t.Fatalf("%v is not there to be removed", k)
					}
				})
			},
			"sweep": func(t *rapid.T) {
				w.failing(t, dir, fails()*30, func(s *Store) { _ = s.sweep(context.Background(), w.visitNamed) })
			},
			"time passes": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 20, 61, 130, 24 * 60, 49 * 60}).Draw(t, "minutes")) *
					time.Minute)
			},
			"a task names it": func(t *rapid.T) {
				k := key.Draw(t, "file")
				w.forget()
				for _, owner := range []string{k.user, Everybody} {
					if file, has := w.model[modelKey{owner, k.content}]; has && w.now.Before(file.expires) {
						w.named[k] = true
					}
				}
			},
			"its task ends": func(t *rapid.T) {
				k := key.Draw(t, "file")
				if !w.named[k] {
					return
				}
				delete(w.named, k)
				w.forget()
			},
			"": func(t *rapid.T) { w.check(t, users, contents) },
		})
		clear(w.named)
		for range 6 {
			w.now = w.now.Add(49 * time.Hour)
			if err := w.stores[1].sweep(context.Background(), w.visitNamed); err != nil {
				t.Fatal(err)
			}
		}
		if left, _ := w.bucket.List(context.Background(), ""); len(left) > 0 {
			t.Fatalf("left are %+v", left)
		}
		if bytes, files := w.stores[1].usage.sum(); bytes != 0 || files != 0 {
			t.Fatalf("%d bytes in %d files are said to be stored", bytes, files)
		}
	})
}
