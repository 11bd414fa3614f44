package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/internal/dirlock"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

const instanceFile = "instance-id"

// instanceID is the name of this installation of a role: the content of
// <data-dir>/instance-id, which is written the first time. It stays the same
// over restarts, so that events and marks of one worker can be told from those
// of another.
func instanceID(dataDir string) (string, error) {
	if _, err := datadir.Make(dataDir); err != nil { // whoever locks it has warned
		return "", err //nolint:wrapcheck // it says what and where
	}
	path := filepath.Join(dataDir, instanceFile)
	if id, err := readInstanceID(path); !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id, err := newInstanceID()
	if err != nil {
		return "", err
	}
	if err := datadir.WriteOnce(path, []byte(id+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("write instance id: %w", err)
	}
	return readInstanceID(path) // of whoever was first
}

func readInstanceID(path string) (string, error) {
	content, err := datadir.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read instance id: %w", err)
	}
	id := strings.TrimSpace(string(content))
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`).MatchString(id) {
		return "", fmt.Errorf("read instance id: %s holds %.50q; remove the file to have a new one made", path, id)
	}
	return id, nil
}

func newInstanceID() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	host = regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(host, "-")
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make instance id: %w", err)
	}
	return host[:min(len(host), 60)] + "-" + hex.EncodeToString(random[:]), nil
}

// artifacts is where files are kept: what tasklane.yaml says, and the flags over it. A store of one's own has the
// bucket in the path, Amazon's in the host.
func (s *settings) artifacts(c config.Artifacts) (config.Artifacts, error) {
	c.MaxUserBytes = cmp.Or(s.artifactsUser, c.MaxUserBytes)
	if s.artifactsDir != "" {
		c.Dir, c.S3 = s.artifactsDir, config.S3{}
	}
	if s.artifactsS3 == "" {
		return c, nil
	}
	const form = "--artifacts-bucket: want https://HOST/BUCKET or https://HOST/BUCKET/PREFIX, " +
		"with ?region=REGION where the store has one"
	u, err := url.Parse(s.artifactsS3)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return c, cli.Usagef(form)
	}
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || bucket == "" || len(query) > 0 && (len(query) > 1 || !query.Has("region")) {
		return c, cli.Usagef(form)
	}
	if s.artifactsDir != "" {
		return c, cli.Usagef("give one of --artifacts-dir and --artifacts-bucket: files go to one place")
	}
	c.Dir, c.S3 = "", config.S3{
		AccessKey: c.S3.AccessKey, SecretKey: c.S3.SecretKey,
		Endpoint: u.Scheme + "://" + u.Host, Bucket: bucket, Prefix: prefix, Region: query.Get("region"),
		PathStyle: !strings.HasSuffix(u.Hostname(), ".amazonaws.com"),
	}
	return c, nil
}

// artifactStore is where files are kept, nil if this processor has none in common with the API: a directory
// of its own nobody else reads. Several roles in one process share one.
func (w *wiring) artifactStore(part string, alone bool) (*artifact.Store, error) {
	c := w.config.Artifacts
	s3 := c.S3 != (config.S3{})
	if alone && c.Dir == "" && !s3 {
		return nil, nil //nolint:nilnil // there is none
	}
	if w.artifacts != nil {
		return w.artifacts, nil
	}
	made := artifact.Config{
		Dir: c.Dir, MaxFileBytes: int64(c.MaxFileBytes), MaxUserBytes: int64(c.MaxUserBytes), MaxBytes: int64(c.MaxBytes),
		Retention: c.ExpireAfter, Logger: w.logger(part),
	}
	if made.Dir == "" {
		made.Dir = filepath.Join(w.dataDir, "artifacts")
	}
	if s3 {
		made.S3 = &artifact.S3{
			Endpoint: c.S3.Endpoint, Region: c.S3.Region, Bucket: c.S3.Bucket, Prefix: c.S3.Prefix, PathStyle: c.S3.PathStyle,
		}
		if !c.S3.AccessKey.IsZero() {
			made.S3.Keys = func() (access, secret string, err error) {
				if access, err = c.S3.AccessKey.Resolve(w.environ.lookup); err == nil {
					secret, err = c.S3.SecretKey.Resolve(w.environ.lookup)
				}
				return access, secret, err
			}
		}
	}
	store, warning, err := artifact.New(made)
	if err != nil {
		return nil, cli.AsUsage(err)
	}
	if warning != "" {
		w.log.Warn(warning)
	}
	w.artifacts = store
	return store, nil
}

// taskArtifacts is a store as services see it.
type taskArtifacts struct{ store *artifact.Store }

// Open implements [processor.Artifacts].
func (t taskArtifacts) Open(ctx context.Context, user, hash string) (io.ReadSeekCloser, schemas.Artifact, error) {
	content, err := t.store.Open(ctx, user, hash)
	if err != nil {
		return nil, schemas.Artifact{}, artifactProblem(err)
	}
	return content, artifactOf(content.Info), nil
}

// Create implements [processor.Artifacts].
func (t taskArtifacts) Create(user string) (processor.ArtifactUpload, error) {
	upload, err := t.store.Create(user)
	if err != nil {
		return nil, artifactProblem(err)
	}
	return taskUpload{upload}, nil
}

type taskUpload struct{ *artifact.Upload }

// Commit implements [processor.ArtifactUpload].
func (t taskUpload) Commit(ctx context.Context, name, kind string, more time.Duration) (schemas.Artifact, error) {
	info, err := t.Upload.Commit(ctx, name, kind, more)
	return artifactOf(info), artifactProblem(err)
}

func artifactOf(info artifact.Info) schemas.Artifact {
	return schemas.Artifact{Hash: info.Hash, Name: info.Name, Type: info.Type, Size: info.Size}
}

// artifactProblem is an error of the store for a service: what may pass is worth another attempt.
func artifactProblem(err error) error {
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return processor.ErrNoArtifact
	case errors.Is(err, artifact.ErrUnavailable), errors.Is(err, artifact.ErrBusy):
		return processor.Retryable(err) //nolint:wrapcheck // it marks the error
	}
	return err
}

// lockPart keeps a role's part of the data directory for this process: of two with
// one instance id nobody could tell the events, marks and files apart. It comes
// before what talks to a broker, so that it refuses without one. The notifier
// keeps nothing there and needs none; the embedded broker has its own.
func (w *wiring) lockPart(of string) part {
	return part{name: of + "-directory", build: func(ctx context.Context) (role, error) {
		warning, err := datadir.Make(w.dataDir)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what and where
		}
		if warning != "" {
			w.log.Warn(warning)
		}
		lock, err := dirlock.Take(ctx, w.dataDir, of)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what and where
		}
		return &heldLock{lock: lock, ready: make(chan struct{})}, nil
	}}
}

// heldLock holds a lock until it is stopped, after all that was started later.
type heldLock struct {
	lock  *dirlock.Lock
	ready chan struct{}
}

// Ready is closed at once: the lock is held already.
func (h *heldLock) Ready() <-chan struct{} { return h.ready }

// Run holds the lock.
func (h *heldLock) Run(ctx context.Context) error {
	close(h.ready)
	<-ctx.Done()
	h.lock.Release()
	return nil
}
