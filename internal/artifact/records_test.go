package artifact

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// recordStore is a store on memory whose clock the test turns.
func recordStore(t testing.TB, now *time.Time) *Store {
	t.Helper()
	clock := func() time.Time { return *now }
	s, _, err := New(Config{Dir: t.TempDir(), now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Records against a map: what was put is there until it ends, for its user and kind alone.
func TestRecordsAreAMap(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		s := recordStore(t, &now)
		type entry struct {
			content string
			until   time.Time
		}
		model := map[string]map[string]entry{}
		pick := rapid.SampledFrom[[]string]
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			kind := pick([]string{"files", "batches"}).Draw(rt, "kind")
			user := pick([]string{"", "ada", "bob"}).Draw(rt, "user")
			name := pick([]string{"a", "a/b", "a/b/c", "ab", "B-1_x"}).Draw(rt, "name")
			of, all := s.Records(kind, user), model[kind+"/"+user]
			if all == nil {
				all = map[string]entry{}
				model[kind+"/"+user] = all
			}
			for _, name := range slices.Collect(maps.Keys(all)) {
				if !now.Before(all[name].until) {
					delete(all, name)
				}
			}
			switch pick([]string{"put", "delete", "get", "names", "time", "sweep"}).Draw(rt, "step") {
			case "put":
				made := entry{pick([]string{"", "x", strings.Repeat("y", 100)}).Draw(rt, "content"), now.Add(time.Minute)}
				if err := of.Put(ctx, name, []byte(made.content), made.until); err != nil {
					rt.Fatal(err)
				}
				all[name] = made
			case "delete":
				if err := of.Delete(ctx, name); err != nil {
					rt.Fatal(err)
				}
				delete(all, name)
			case "time":
				now = now.Add(time.Duration(rapid.IntRange(1, 70).Draw(rt, "seconds")) * time.Second)
				continue
			case "sweep":
				if err := s.removeRecords(ctx); err != nil {
					rt.Fatal(err)
				}
			}
			got, err := of.Get(ctx, name)
			if want, there := all[name]; there && (err != nil || string(got) != want.content) ||
				!there && !errors.Is(err, ErrNotFound) {
				rt.Fatalf("%s is %q, %v; want %q, %v", name, got, err, want.content, there)
			}
			names, err := of.Names(ctx)
			if want := slices.Sorted(maps.Keys(all)); err != nil || !slices.Equal(names, want) {
				rt.Fatalf("names %v, %v; want %v", names, err, want)
			}
		}
		now = now.Add(time.Hour)
		if err := s.removeRecords(ctx); err != nil {
			rt.Fatal(err)
		}
		if left, err := s.bucket.List(ctx, records); err != nil || len(left) > 0 {
			rt.Fatalf("left are %v, %v", left, err)
		}
	})
}

// Names cannot lead anywhere else.
func TestRecordsNamesThatAreNone(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	of := recordStore(t, &now).Records("files", "ada")
	for _, name := range []string{"", "/", "a/", "/a", "..", "a/../b", "a//b", "a.b", "a\x00", "ä",
		strings.Repeat("a", 201)} {
		if err := of.Put(t.Context(), name, nil, now.Add(time.Hour)); err == nil {
			t.Errorf("%q was put", name)
		}
		if _, err := of.Get(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %q: %v", name, err)
		}
		if err := of.Delete(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("delete %q: %v", name, err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("records/files/everybody/", "records/files/everybody/a/until.006b49d200")
	f.Add("records/", "records/until.x")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if !strings.HasPrefix(key, prefix) {
			key = prefix + key
		}
		if name, _, ok := parseRecord(prefix, key); ok && !strings.HasPrefix(key, prefix+name+"/") {
			t.Errorf("%q of %q", name, key)
		}
	})
}
