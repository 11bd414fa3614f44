//go:build clients

package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/aiecs/tasklane/internal/pace"
)

const (
	canaryAccess = "AKIACANARYACCESSKEY0"
	canarySecret = "canary-secret-that-nobody-may-see"
)

// startMoto runs an S3 server that is not ours (python's moto) until the test ends, and makes a bucket.
func startMoto(t *testing.T) S3 {
	t.Helper()
	cache := os.Getenv("TASKLANE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		must(t, err)
		cache = filepath.Join(home, ".cache", "tasklane")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	program := exec.CommandContext(ctx, filepath.Join(cache, "clients/venv/bin/moto_server"), "-H", host, "-p", port)
	if err := program.Start(); err != nil {
		t.Fatalf("start moto: %v; install it with scripts/clients/setup.sh python", err)
	}
	t.Cleanup(func() { stop(); _ = program.Wait() })
	c := S3{
		Endpoint: "http://" + address, Region: "eu-central-1", Bucket: "files", Prefix: "a/b", PathStyle: true,
		Keys:      func() (string, string, error) { return canaryAccess, canarySecret, nil },
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	client, err := newS3(c)
	must(t, err)
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := client.client.MakeBucket(within, "files", minio.MakeBucketOptions{Region: c.Region})
		if err == nil {
			return c
		}
		if !pace.Sleep(within, 50*time.Millisecond) {
			t.Fatalf("moto does not answer: %v", err)
		}
	}
}

// TestMotoIsABucket, and a store on it is one for processes on several machines.
func TestMotoIsABucket(t *testing.T) {
	c := startMoto(t)
	b, err := newS3(c)
	must(t, err)
	checkBucket(t, b)
	large := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // above the size of a part
	var stores [2]*Store
	for i := range stores {
		stores[i], _, err = New(Config{Dir: t.TempDir(), S3: &c})
		must(t, err)
	}
	u, err := stores[0].Create("ada")
	must(t, err)
	defer u.Close()
	_, err = u.Write(large)
	must(t, err)
	info, err := u.Commit(t.Context(), "large.bin", "", 0)
	must(t, err)
	content, err := stores[1].Open(t.Context(), "ada", info.Hash)
	must(t, err)
	defer func() { _ = content.Close() }()
	got, err := io.ReadAll(content)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("the other machine reads %d bytes, %v", len(got), err)
	}
	_, err = content.Seek(-4, io.SeekEnd)
	must(t, err)
	if end, err := io.ReadAll(content); string(end) != "cdef" || err != nil {
		t.Errorf("its end is %q, %v", end, err)
	}
	if _, err := stores[1].Open(t.Context(), "bob", info.Hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("another user: %v", err)
	}
	must(t, stores[1].sweep(t.Context(), func(context.Context, func(user, hash string)) error { return nil }))
	if n, files := stores[1].usage.sum(); n != int64(len(large)) || files != 1 {
		t.Errorf("%d bytes in %d files are counted", n, files)
	}
	must(t, stores[1].Delete(t.Context(), "ada", info.Hash))
	if _, err := stores[0].Stat(t.Context(), "ada", info.Hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// faulty answers or cuts off some requests itself.
type faulty struct {
	http.RoundTripper
	fault atomic.Pointer[func(*http.Request) (*http.Response, error)]
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if fault := f.fault.Load(); fault != nil {
		if answer, err := (*fault)(r); answer != nil || err != nil {
			return answer, err
		}
	}
	return f.RoundTripper.RoundTrip(r)
}

// TestMotoUnderFaults: nothing is said to be stored that is not, what was stored stays, and no key is told.
func TestMotoUnderFaults(t *testing.T) {
	c := startMoto(t)
	transport := &faulty{RoundTripper: c.Transport}
	c.Transport = transport
	var log bytes.Buffer
	store, _, err := New(Config{Dir: t.TempDir(), S3: &c, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	put := func(text string) (Info, error) {
		u, err := store.Create("ada")
		must(t, err)
		defer u.Close()
		_, err = u.Write([]byte(text))
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return u.Commit(ctx, "", "", 0)
	}
	before, err := put("before")
	must(t, err)
	answer := func(status int, body string) func(r *http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Request: r, ProtoMajor: 1,
				ProtoMinor: 1, Body: io.NopCloser(strings.NewReader(body)),
			}, nil
		}
	}
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"errors": answer(500, "<Error><Code>InternalError</Code><Message>no</Message></Error>"),
		"denied": answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"),
		"pages":  answer(502, "<html>"),
		"cut off": func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				_, _ = io.CopyN(io.Discard, r.Body, 3)
			}
			return nil, io.ErrUnexpectedEOF
		},
	} {
		transport.fault.Store(&fault)
		_, err := put("text of " + name)
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: stored, %v", name, err)
		}
		if _, openErr := store.Open(t.Context(), "ada", before.Hash); !errors.Is(openErr, ErrUnavailable) {
			t.Errorf("%s: opened, %v", name, openErr)
		}
		transport.fault.Store(nil)
		if err != nil && (strings.Contains(err.Error(), canarySecret) || strings.Contains(err.Error(), canaryAccess)) {
			t.Errorf("%s tells a key: %v", name, err)
		}
		if _, err := store.Stat(t.Context(), "ada", hashText("text of "+name)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: it is there: %v", name, err)
		}
		after, err := put("text of " + name)
		if err != nil || after.Hash != hashText("text of "+name) {
			t.Errorf("%s: afterwards %+v, %v", name, after, err)
		}
	}
	content, err := store.Open(t.Context(), "ada", before.Hash)
	must(t, err)
	defer func() { _ = content.Close() }()
	if text, err := io.ReadAll(content); string(text) != "before" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	var exported bytes.Buffer
	store.WritePrometheus(&exported)
	for _, text := range []string{log.String(), exported.String()} {
		if strings.Contains(text, canarySecret) || strings.Contains(text, canaryAccess) {
			t.Errorf("a key is told: %s", text)
		}
	}
}
