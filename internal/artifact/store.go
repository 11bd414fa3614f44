package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/datadir"
)

// Store keeps files. Make one with New. It is safe for concurrent use, also by several processes on
// one directory or bucket.
type Store struct {
	config Config
	bucket bucket
	drafts string // directory of files on their way
	usage  *usage
	meters meters
	free   func(dir string) (bytes int64, known bool)
}

// New checks the configuration and makes the directory. It connects to nothing. A warning is what an
// operator should know of the directory.
func New(c Config) (s *Store, warning string, err error) {
	if err := c.setDefaults(); err != nil {
		return nil, "", fmt.Errorf("configure artifacts: %w", err)
	}
	if warning, err = datadir.Make(c.Dir); err != nil {
		return nil, "", fmt.Errorf("configure artifacts: %w", err)
	}
	s = &Store{
		config: c, bucket: directory{c.Dir}, drafts: filepath.Join(c.Dir, "drafts"), usage: newUsage(&c), free: freeBytes,
	}
	if c.S3 != nil {
		if s.bucket, err = newS3(*c.S3); err != nil {
			return nil, "", fmt.Errorf("configure artifacts: %w", err)
		}
	}
	if err := os.MkdirAll(s.drafts, 0o700); err != nil {
		return nil, "", fmt.Errorf("configure artifacts: make directory: %w", err)
	}
	s.meters = newMeters(s.usage)
	s.clearDrafts()
	return s, warning, nil
}

// WritePrometheus writes the store's metrics in Prometheus text format.
func (s *Store) WritePrometheus(w io.Writer) { s.meters.set.WritePrometheus(w) }

// MaxFileBytes is the size of the largest file.
func (s *Store) MaxFileBytes() int64 { return s.config.MaxFileBytes }

// Shared reports whether the store is a bucket, which processes on other machines use too.
func (s *Store) Shared() bool { return s.config.S3 != nil }

// unavailable notes that the store did not answer. What is the caller's own stays as it is.
func (s *Store) unavailable(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) || ctx.Err() != nil {
		return err
	}
	s.meters.errors.Inc()
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Stat is what is known of a file that a user has, or everybody. The error is [ErrNotFound] if
// neither has it, or not any more.
func (s *Store) Stat(ctx context.Context, user, hash string) (Info, error) {
	info, _, err := s.find(ctx, user, hash)
	return info, err
}

// Find is like Stat for somebody who may read every user's: Info.User says whose it is.
func (s *Store) Find(ctx context.Context, hash string) (Info, error) {
	if !IsHash(hash) {
		return Info{}, ErrNotFound
	}
	info, _, err := s.newest(ctx, grantsOf(hash))
	return info, err
}

// find gets a user's grant, or everybody's.
func (s *Store) find(ctx context.Context, user, hash string) (Info, grant, error) {
	if !IsHash(hash) {
		return Info{}, grant{}, ErrNotFound
	}
	info, found, err := s.newest(ctx, userGrants(hash, user))
	if errors.Is(err, ErrNotFound) && user != Everybody {
		info, found, err = s.newest(ctx, userGrants(hash, Everybody))
	}
	return info, found, err
}

// newest reads the grant under a prefix that expires last.
func (s *Store) newest(ctx context.Context, prefix string) (Info, grant, error) {
	all, err := s.bucket.List(ctx, prefix)
	if err != nil {
		return Info{}, grant{}, s.unavailable(ctx, err)
	}
	var found []grant
	for _, o := range all {
		if g, ok := parseGrant(o.key); ok {
			found = append(found, g)
		}
	}
	if len(found) == 0 {
		return Info{}, grant{}, ErrNotFound
	}
	last := slices.MaxFunc(found, func(a, b grant) int { return a.expires.Compare(b.expires) })
	info, err := s.readGrant(ctx, last)
	return info, last, err
}

// maxGrantBytes bounds what is read of a grant.
const maxGrantBytes = 16 << 10

func (s *Store) readGrant(ctx context.Context, g grant) (Info, error) {
	from, err := s.bucket.Open(ctx, g.key, 0)
	if err != nil {
		return Info{}, s.unavailable(ctx, err)
	}
	defer func() { _ = from.Close() }()
	text, err := io.ReadAll(io.LimitReader(from, maxGrantBytes))
	if err != nil {
		return Info{}, s.unavailable(ctx, err)
	}
	var info Info
	if err := json.Unmarshal(text, &info); err != nil || info.Hash != g.hash || userKey(info.User) != g.user {
		return Info{}, fmt.Errorf("%w: %s cannot be read", ErrDamaged, g.key)
	}
	return info, nil
}

// Open opens a file that a user has, or everybody. It is there although it has expired, for tasks
// that name it.
func (s *Store) Open(ctx context.Context, user, hash string) (*Content, error) {
	info, found, err := s.find(ctx, user, hash)
	if err != nil {
		return nil, err
	}
	s.meters.downloads.Inc()
	return &Content{
		Info: info, ctx: ctx, store: s, key: blobKey(hash, found.generation),
	}, nil
}

// Expired reports whether a file is not for reading any more: it is kept for tasks that name it, or
// not removed yet.
func (s *Store) Expired(info Info) bool { return !s.config.now().Before(info.ExpiresAt) }

// Delete takes a file from a user. Its content goes once nobody has it.
func (s *Store) Delete(ctx context.Context, user, hash string) error {
	if !IsHash(hash) {
		return ErrNotFound
	}
	all, err := s.bucket.List(ctx, userGrants(hash, user))
	if err != nil {
		return s.unavailable(ctx, err)
	}
	if len(all) == 0 {
		return ErrNotFound
	}
	info, _, readErr := s.newest(ctx, userGrants(hash, user))
	for _, o := range all {
		if err := s.bucket.Delete(ctx, o.key); err != nil {
			return s.unavailable(ctx, err)
		}
	}
	if readErr == nil {
		s.usage.removed(userKey(user), info.Size, 0)
	}
	s.meters.deleted.Inc()
	return nil
}

// putBytes stores a small object.
func (s *Store) putBytes(ctx context.Context, key string, content []byte) error {
	draft, err := os.CreateTemp(s.drafts, "object-*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() {
		_ = draft.Close()
		_ = os.Remove(draft.Name())
	}()
	if _, err := io.Copy(draft, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return s.bucket.Put(ctx, key, draft, int64(len(content)))
}

// draftLifetime is how long a file may be on its way: no task and no request takes longer.
const draftLifetime = 24 * time.Hour

// clearDrafts removes what a process has left behind that was killed.
func (s *Store) clearDrafts() {
	entries, err := os.ReadDir(s.drafts)
	if err != nil {
		s.config.Logger.Warn("look for files that were left behind", "error", err)
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		known := strings.HasPrefix(entry.Name(), "file-") || strings.HasPrefix(entry.Name(), "object-")
		if err == nil && known && time.Since(info.ModTime()) > draftLifetime {
			_ = os.Remove(filepath.Join(s.drafts, entry.Name()))
		}
	}
}

// meters are the store's metrics.
type meters struct {
	set                                           *metrics.Set
	uploads, downloads, deleted, expired, removed *metrics.Counter
	errors, damaged                               *metrics.Counter
}

func newMeters(u *usage) meters {
	set := metrics.NewSet()
	set.NewGauge("tasklane_artifacts_stored_bytes", func() float64 { bytes, _ := u.sum(); return float64(bytes) })
	set.NewGauge("tasklane_artifacts_stored_files", func() float64 { _, files := u.sum(); return float64(files) })
	return meters{
		set:       set,
		uploads:   set.NewCounter("tasklane_artifacts_uploads_total"),
		downloads: set.NewCounter("tasklane_artifacts_downloads_total"),
		deleted:   set.NewCounter("tasklane_artifacts_deleted_total"),
		expired:   set.NewCounter("tasklane_artifacts_expired_total"),
		removed:   set.NewCounter("tasklane_artifacts_removed_total"),
		errors:    set.NewCounter("tasklane_artifacts_errors_total"),
		damaged:   set.NewCounter("tasklane_artifacts_damaged_total"),
	}
}

// refused counts a file that was not stored.
func (m meters) refused(err error) {
	for reason, cause := range map[string]error{
		"too_large": ErrTooLarge, "user_full": ErrUserFull, "full": ErrFull, "busy": ErrBusy,
	} {
		if errors.Is(err, cause) {
			m.set.GetOrCreateCounter(fmt.Sprintf("tasklane_artifacts_refused_total{reason=%q}", reason)).Inc()
		}
	}
}
