package artifact

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Records are small documents of a user beside the files: what a file is called elsewhere, what became of a batch.
// They are known by a name, which may have slashes in it, and end by themselves. What is written is found by every
// process that has the store.
type Records struct {
	store  *Store
	prefix string
}

const (
	records = "records/"
	// maxRecordBytes bounds what is read of a record.
	maxRecordBytes = 1 << 20
	maxNameChars   = 200
)

// Records are a user's records of a kind.
func (s *Store) Records(kind, user string) *Records {
	return &Records{store: s, prefix: records + kind + "/" + userKey(user) + "/"}
}

// checkRecord refuses names that are no paths of letters, digits, "-" and "_".
func checkRecord(name string) error {
	letters := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '/'
	}
	if name == "" || len(name) > maxNameChars || strings.Trim(name, "/") != name || strings.Contains(name, "//") ||
		strings.ContainsFunc(name, func(r rune) bool { return !letters(r) }) {
		return ErrNotFound
	}
	return nil
}

// The end of a record stands in its key, so that a list tells what has ended.
const untilMark = "until."

func (r *Records) key(name string, until time.Time) string {
	return fmt.Sprintf("%s%s/%s%010x", r.prefix, name, untilMark, until.Unix())
}

// parseRecord is the name in a key below a prefix, and when it ends.
func parseRecord(prefix, key string) (name string, until time.Time, ok bool) {
	at := strings.LastIndexByte(key, '/')
	if at < len(prefix) || !strings.HasPrefix(key[at+1:], untilMark) {
		return "", time.Time{}, false
	}
	seconds, err := strconv.ParseInt(key[at+1+len(untilMark):], 16, 64)
	return key[len(prefix):at], time.Unix(seconds, 0), err == nil
}

// Put writes a record, in the place of one that is there and ends at the same time. It is there once Put has returned.
func (r *Records) Put(ctx context.Context, name string, content []byte, until time.Time) error {
	if err := checkRecord(name); err != nil {
		return fmt.Errorf("write record %.200q: its name is none", name)
	}
	return r.store.unavailable(ctx, r.store.putBytes(ctx, r.key(name, until), content))
}

// Get reads a record. The error is [ErrNotFound] if there is none, or not any more.
func (r *Records) Get(ctx context.Context, name string) ([]byte, error) {
	key, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	from, err := r.store.bucket.Open(ctx, key, 0)
	if err != nil {
		return nil, r.store.unavailable(ctx, err)
	}
	defer func() { _ = from.Close() }()
	content, err := io.ReadAll(io.LimitReader(from, maxRecordBytes))
	return content, r.store.unavailable(ctx, err)
}

// find is the key of the record with a name that ends last.
func (r *Records) find(ctx context.Context, name string) (last string, _ error) {
	if err := checkRecord(name); err != nil {
		return "", err
	}
	all, err := r.store.bucket.List(ctx, r.prefix+name+"/")
	if err != nil {
		return "", r.store.unavailable(ctx, err)
	}
	for _, o := range all {
		found, until, ok := parseRecord(r.prefix, o.key)
		if ok && found == name && r.store.config.now().Before(until) {
			last = max(last, o.key)
		}
	}
	if last == "" {
		return "", ErrNotFound
	}
	return last, nil
}

// Names are those of all records that have not ended, in their order.
func (r *Records) Names(ctx context.Context) (names []string, _ error) {
	all, err := r.store.bucket.List(ctx, r.prefix)
	if err != nil {
		return nil, r.store.unavailable(ctx, err)
	}
	for _, o := range all {
		if name, until, ok := parseRecord(r.prefix, o.key); ok && r.store.config.now().Before(until) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Delete removes a record, if it is there.
func (r *Records) Delete(ctx context.Context, name string) error {
	if err := checkRecord(name); err != nil {
		return err
	}
	all, err := r.store.bucket.List(ctx, r.prefix+name+"/")
	if err != nil {
		return r.store.unavailable(ctx, err)
	}
	for _, o := range all {
		if found, _, ok := parseRecord(r.prefix, o.key); ok && found == name {
			if err := r.store.bucket.Delete(ctx, o.key); err != nil {
				return r.store.unavailable(ctx, err)
			}
		}
	}
	return nil
}

// removeRecords removes the records of all users that have ended.
func (s *Store) removeRecords(ctx context.Context) error {
	all, err := s.bucket.List(ctx, records)
	if err != nil {
		return err
	}
	for _, o := range all {
		if _, until, ok := parseRecord(records, o.key); ok && !s.config.now().Before(until) {
			if err := s.bucket.Delete(ctx, o.key); err != nil {
				return err
			}
		}
	}
	return nil
}
