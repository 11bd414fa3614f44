package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// shelf keeps files as the API does, and has faults.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
	asked []string // Range of each download
	// cuts are after how many bytes of an answer's body the connection ends, one a request; none left: never.
	cuts []int
	// whole ignores ranges.
	whole bool
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (s *shelf) cut() int {
	if len(s.cuts) == 0 {
		return -1
	}
	next := s.cuts[0]
	s.cuts = s.cuts[1:]
	return next
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := s.cut()
	if r.Method == http.MethodPost {
		content, err := io.ReadAll(io.LimitReader(r.Body, int64(uint(cut)>>1)))
		if cut >= 0 || err != nil {
			panic(http.ErrAbortHandler)
		}
		s.files[hashOf(content)] = content
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"artifact":"%s","hash":"%[1]s","size":%d,"name":%q,"type":%q}`, hashOf(content),
			len(content), r.URL.Query().Get("name"), r.Header.Get("Content-Type"))
		return
	}
	s.asked = append(s.asked, r.Header.Get("Range"))
	content, ok := s.files[r.PathValue("hash")]
	if !ok {
		answerWith(404, `{"title":"Not Found","status":404,"detail":"there is no such artifact"}`)(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Disposition", `attachment; filename="r.txt"`)
	if s.whole {
		r.Header.Del("Range")
	}
	http.ServeContent(&cutWriter{ResponseWriter: w, left: cut}, r, "", time.Time{}, bytes.NewReader(content))
}

// cutWriter ends the connection after some bytes of the body.
type cutWriter struct {
	http.ResponseWriter
	left int // below 0: all
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.left < 0 {
		return c.ResponseWriter.Write(p)
	}
	n, _ := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func (s *shelf) start(t *testing.T, config Config) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST /v1/artifacts", s)
	mux.Handle("GET /v1/artifacts/{hash}", s)
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	config.Server = server.URL
	c := newTestClient(t, config)
	waitToContinue(c, time.Millisecond)
	return c
}

// waitToContinue is how long a client waits for a server to want its content.
func waitToContinue(c *Client, wait time.Duration) {
	transport, _ := c.http.Transport.(*http.Transport)
	transport.ExpectContinueTimeout = wait
}

// TestFilesGoThereAndBack whatever is cut, and whatever there is of them already.
func TestFilesGoThereAndBack(t *testing.T) {
	s := &shelf{files: map[string][]byte{}}
	c := s.start(t, Config{})
	rapid.Check(t, func(t *rapid.T) {
		content := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "seed"), rapid.IntRange(1, 3000).Draw(t, "times"))
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(content)), 0, 4)
		s.cuts, s.asked = cuts.Draw(t, "cuts of upload"), nil
		stored, err := c.Upload(context.Background(), UploadRequest{Name: "r.txt", Type: "text/plain",
			Content: bytes.NewReader(content)})
		want := schemas.Artifact{Hash: hashOf(content), Name: "r.txt", Type: "text/plain", Size: int64(len(content))}
		if diff := cmp.Diff(want, stored); err != nil || diff != "" {
			t.Fatalf("%v, %s", err, diff)
		}
		s.cuts, s.whole = cuts.Draw(t, "cuts of download"), rapid.Bool().Draw(t, "whole")
		if s.whole {
			s.cuts = nil
		}
		have := rapid.IntRange(0, len(content)).Draw(t, "have")
		got := bytes.NewBuffer(bytes.Clone(content[:have]))
		request := DownloadRequest{Artifact: schemas.Artifact{Hash: stored.Hash}, Begin: bytes.NewReader(content[:have])}
		if rapid.Bool().Draw(t, "the size is known") {
			request.Artifact.Size = stored.Size
		}
		file, err := c.Download(context.Background(), request, got)
		if err != nil || !bytes.Equal(got.Bytes(), content) || file.Hash != want.Hash || file.Size != want.Size {
			t.Fatalf("%+v, %v, %d of %d bytes", file, err, got.Len(), len(content))
		}
		if first := fmt.Sprintf("bytes=%d-", have); have > 0 && s.asked[0] != first {
			t.Fatalf("with %d bytes %q is asked for", have, s.asked[0])
		}
	})
}

// TestDownloadsGoOn: what has come is not asked for again.
func TestDownloadsGoOn(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	s := &shelf{files: map[string][]byte{hashOf(content): content}, cuts: []int{1000, 3000, 0}}
	c := s.start(t, Config{})
	var got bytes.Buffer
	file, err := c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hashOf(content)}}, &got)
	if err != nil || !bytes.Equal(got.Bytes(), content) || file.Name != "r.txt" || file.Type != "text/plain" {
		t.Errorf("%+v, %v, %d bytes", file, err, got.Len())
	}
	if diff := cmp.Diff([]string{"", "bytes=1000-", "bytes=4000-", "bytes=4000-"}, s.asked); diff != "" {
		t.Error(diff)
	}
}

// TestAnswersThatAreNoFile are told from the file, and no more is written than was promised.
func TestAnswersThatAreNoFile(t *testing.T) {
	content := []byte("what is wanted")
	hash := hashOf(content)
	head := func(status int, headers ...string) reply {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write(content)
			_ = http.NewResponseController(w).Flush()
		}
	}
	for name, tt := range map[string]struct {
		answer reply
		have   string
		size   int64
		says   string
		is     error
	}{
		"another content":  {answerWith(200, "something else"), "", 0, "does not have its hash", ErrDamaged},
		"another size":     {answerWith(200, "what is wanted, and more"), "", 14, "and 14 were expected", errMalformed},
		"no length":        {head(200), "", 0, "how large", errMalformed},
		"no range":         {head(206), "what", 0, "how large", errMalformed},
		"a wrong range":    {head(206, "Content-Range", "bytes 5-13/14"), "what", 0, "5 is the first", errMalformed},
		"no total":         {head(206, "Content-Range", "bytes 4-13/*"), "what", 0, "how large", errMalformed},
		"a negative range": {head(206, "Content-Range", "bytes -4-13/14"), "what", 0, "how large", errMalformed},
		"more was there": {head(416, "Content-Range", "bytes */14"), "what is wanted here", 0, "19 bytes were there",
			ErrDamaged},
		"other was there": {head(416, "Content-Range", "bytes */14"), "what is wasted", 0, "", ErrDamaged},
		"a refusal":       {answerWith(404, `{"detail":"no such artifact"}`), "", 0, "no such artifact", nil},
		"a page":          {answerWith(416, `<html>`), "", 0, "416", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, Config{Server: newFakeAPI(tt.answer).start(t)})
			var got bytes.Buffer
			_, err := c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hash, Size: tt.size},
				Begin: strings.NewReader(tt.have)}, &got)
			if err == nil || !strings.Contains(err.Error(), tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v", err)
			}
			if got.Len() > len(content) {
				t.Errorf("%d bytes are written", got.Len())
			}
		})
	}
	c := newTestClient(t, Config{Server: newFakeAPI(answerWith(200, "")).start(t)})
	for _, hash := range []string{"", "x", "../tasks"} {
		_, err := c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hash}}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "64 digits") {
			t.Errorf("%q: %v", hash, err)
		}
	}
	full := errors.New("the disk is full")
	c = newTestClient(t, Config{Server: newFakeAPI(answerWith(200, string(content))).start(t)})
	_, err := c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hash}}, failing{full})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	_, err = c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hash}, Begin: failing{full}},
		io.Discard)
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error)  { return 0, f.error }
func (f failing) Write([]byte) (int, error) { return 0, f.error }

// TestUploadsAreRefused with what the server says, at once where trying again is of no use, and before all is sent.
func TestUploadsAreRefused(t *testing.T) {
	full := `{"title":"Too Many Requests","detail":"9 of 10 bytes"}`
	for name, tt := range map[string]struct {
		script []reply
		says   string
		tries  int
	}{
		"no room":   {[]reply{answerWith(429, full)}, "9 of 10 bytes", 1},
		"too large": {[]reply{answerWith(413, `{"title":"too large"}`)}, "too large", 1},
		"no token":  {[]reply{answerWith(401, `{"title":"Unauthorized"}`)}, "Unauthorized", 1},
		"busy at first": {[]reply{refuseWith(429, "1", full), hangUp, answerWith(413, `{"title":"too large"}`)},
			"too large", 3},
		"another hash": {[]reply{answerWith(201, `{"artifact":"00","size":7}`)}, "was sent 7 as", 1},
		"another size": {[]reply{answerWith(201, `{"artifact":"`+hashOf([]byte("content"))+`","size":8}`)},
			"stored 8 bytes", 1},
		"no document": {[]reply{answerWith(201, `<html>`)}, "not understood", 1},
		"a wrong 2xx": {[]reply{answerWith(200, `{}`)}, "200", 1},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(tt.script...)
			c := newTestClient(t, Config{Server: api.start(t)})
			_, err := c.Upload(t.Context(), UploadRequest{Name: "a.txt", Content: strings.NewReader("content")})
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "upload a.txt") {
				t.Errorf("%v", err)
			}
			if seen := api.seen(); len(seen) != tt.tries || seen[0].query["name"][0] != "a.txt" {
				t.Errorf("tried %d times", len(seen))
			}
		})
	}
}

// TestContentThatIsReadOnce is sent once, unless nothing of it was.
func TestContentThatIsReadOnce(t *testing.T) {
	api := newFakeAPI(hangUp)
	c := newTestClient(t, Config{Server: api.start(t)})
	_, err := c.Upload(t.Context(), UploadRequest{Content: io.MultiReader(strings.NewReader("content"))})
	if !errors.Is(err, ErrUnreachable) || len(api.seen()) != 1 {
		t.Errorf("%v after %d tries", err, len(api.seen()))
	}
	// Refused before it is read: it can be sent again.
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			refuseWith(503, "1", `{"title":"not yet"}`)(w, r)
			return
		}
		content, _ := io.ReadAll(r.Body)
		answerWith(201, fmt.Sprintf(`{"artifact":%q,"size":%d}`, hashOf(content), len(content)))(w, r)
	}))
	t.Cleanup(server.Close)
	c = newTestClient(t, Config{Server: server.URL})
	waitToContinue(c, time.Hour)
	file, err := c.Upload(t.Context(), UploadRequest{Content: io.MultiReader(strings.NewReader("content"))})
	if err != nil || file.Size != 7 || tries != 3 {
		t.Errorf("%+v, %v after %d tries", file, err, tries)
	}
	broken := errors.New("the disk is gone")
	_, err = c.Upload(t.Context(), UploadRequest{Content: io.MultiReader(strings.NewReader("con"), failing{broken})})
	if !errors.Is(err, broken) || tries != 4 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// TestSilenceEndsTransfers in both directions, and is not taken for an answer.
func TestSilenceEndsTransfers(t *testing.T) {
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "100")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		close(silent)
		server.Close()
	})
	c := newTestClient(t, Config{Server: server.URL, GiveUpAfter: time.Millisecond})
	hash := hashOf(nil)
	_, err := c.Download(t.Context(), DownloadRequest{Artifact: schemas.Artifact{Hash: hash}}, io.Discard)
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, errSilence) || !strings.Contains(err.Error(), "gave up") {
		t.Errorf("download: %v", err)
	}
	_, err = c.Upload(t.Context(), UploadRequest{Content: strings.NewReader("content")})
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, errSilence) {
		t.Errorf("upload: %v", err)
	}
	// A reader that never gives anything holds nobody up.
	ctx, cancel := context.WithCancel(t.Context())
	stuck, other := io.Pipe()
	defer func() { _ = other.Close() }()
	time.AfterFunc(time.Millisecond, cancel)
	if _, err = c.Upload(ctx, UploadRequest{Content: stuck}); err == nil {
		t.Error("it is stored")
	}
}

func TestDeleteArtifact(t *testing.T) {
	api := newFakeAPI(answerWith(204, ""), answerWith(404, `{"title":"Not Found"}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	hash := hashOf(nil)
	if err := c.DeleteArtifact(t.Context(), "ada", hash); err != nil {
		t.Error(err)
	}
	var refused *APIError
	if err := c.DeleteArtifact(t.Context(), "ada", hash); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("%v", err)
	}
	if one := api.seen()[0]; one.method != "DELETE" || one.path != "/v1/artifacts/"+hash ||
		one.query["user_id"][0] != "ada" {
		t.Errorf("%+v", one)
	}
}
