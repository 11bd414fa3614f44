package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// UploadRequest is a file to be stored.
type UploadRequest struct {
	// UserID is whose it will be: the token's user's if empty, and everybody's where there is no token either.
	UserID string
	// Name, without a directory, and Type, a media type, are for those who get it; both may be empty.
	Name, Type string
	// Content is read from where it stands to its end. Where it is an [io.Seeker] it is sent again after a try that
	// failed; anything else is sent once.
	Content io.Reader
}

// Upload stores a file and returns what stands for it in input_data. The content is not kept in memory, and what the
// server says it has stored is compared with what was sent. Storing a file again does no harm.
//
// The error is an [*APIError] with Status 413 for a file that is too large, 429 where the user's files leave no room
// for it, and 507 where there is none at all.
func (c *Client) Upload(ctx context.Context, request UploadRequest) (schemas.Artifact, error) {
	u := &upload{client: c, request: request}
	if content, ok := request.Content.(io.Seeker); ok {
		if err := u.measure(content); err != nil {
			return schemas.Artifact{}, fmt.Errorf("upload %s: %w", request.Name, err)
		}
	}
	tries := c.newRetry()
	var stored schemas.Artifact
	err := c.try(ctx, tries, func(token string) (err error) {
		stored, err = u.send(ctx, tries, token)
		return err
	})
	if err != nil {
		return schemas.Artifact{}, fmt.Errorf("upload %s: %w", request.Name, err)
	}
	return stored, nil
}

// upload is a file on its way.
type upload struct {
	client      *Client
	request     UploadRequest
	seeker      io.Seeker // nil if the content can be read once only
	start, size int64     // of the content; a size of 0 says nothing
}

// measure finds out where the content begins and how long it is. What only looks as if it could seek, such as a pipe,
// is sent once.
func (u *upload) measure(content io.Seeker) error {
	start, err := content.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil //nolint:nilerr // as said
	}
	end, err := content.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("find its size: %w", err)
	}
	u.seeker, u.start, u.size = content, start, end-start
	return nil
}

// send sends the file once.
func (u *upload) send(ctx context.Context, r *retry, token string) (schemas.Artifact, error) {
	if u.seeker != nil {
		if _, err := u.seeker.Seek(u.start, io.SeekStart); err != nil {
			return schemas.Artifact{}, &finalError{fmt.Errorf("go back to its start: %w", err)}
		}
	}
	patience := u.client.patience()
	ctx, silence := breakSilence(ctx, patience)
	defer silence.over()
	began := time.Now()
	body := &uploadBody{from: u.request.Content, summed: sha256.New(), last: began}
	body.moved = func(ended bool) {
		after := patience
		if ended { // the server writes it to where it is kept
			after += time.Duration(body.sent>>20) * time.Second
		}
		silence.moved(after)
	}
	got, err := u.exchange(ctx, body, token)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSilence) {
		err = cause
	}
	if !body.end(u.seeker != nil) {
		return schemas.Artifact{}, &finalError{cmp.Or(err, errMalformed)}
	}
	r.since = r.since.Add(body.last.Sub(began)) // sending is not waiting, however long it takes
	switch {
	case body.broken != nil:
		return schemas.Artifact{}, &finalError{fmt.Errorf("read file: %w", body.broken)}
	case err != nil && u.seeker == nil && body.sent > 0:
		return schemas.Artifact{}, &finalError{err}
	case err != nil:
		return schemas.Artifact{}, err
	}
	if sum := hex.EncodeToString(body.summed.Sum(nil)); got.Hash != sum || got.Size != body.sent {
		return schemas.Artifact{}, &finalError{fmt.Errorf("%w: it has stored %d bytes as %.64q, and was sent %d as %s",
			errMalformed, got.Size, got.Hash, body.sent, sum)}
	}
	return got, nil
}

func (u *upload) exchange(ctx context.Context, body *uploadBody, token string) (stored schemas.Artifact, _ error) {
	query := url.Values{}
	for name, value := range map[string]string{"user_id": u.request.UserID, "name": u.request.Name} {
		if value != "" {
			query.Set(name, value)
		}
	}
	one := call{method: http.MethodPost, path: []string{"v1", "artifacts"}, query: query, content: body}
	request, err := u.client.newRequest(ctx, one, token)
	if err != nil {
		return stored, err
	}
	request.ContentLength = u.size
	if u.size == 0 {
		request.ContentLength = -1
	}
	if u.request.Type != "" {
		request.Header.Set("Content-Type", u.request.Type)
	}
	// Who is refused hears it before all of the file is sent.
	request.Header.Set("Expect", "100-continue")
	response, err := u.client.http.Do(request)
	if err != nil {
		return stored, unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	switch {
	case err != nil:
		return stored, unreachable(fmt.Errorf("read answer: %w", err))
	case response.StatusCode == http.StatusCreated:
		if err := json.Unmarshal(text, &stored); err != nil {
			return stored, &finalError{fmt.Errorf("%w: %w", errMalformed, err)}
		}
		return stored, nil
	}
	refused := refusal{newAPIError(response.StatusCode, text), retryAfter(response.Header, time.Now())}
	if response.StatusCode == http.StatusTooManyRequests && refused.after == 0 {
		return stored, &finalError{refused.error} // no room, which does not pass by itself
	}
	return stored, refused
}

// uploadBody is the content as it is sent, once.
type uploadBody struct {
	from  io.Reader
	moved func(ended bool)

	mu     sync.Mutex // held while the connection reads
	closed bool
	summed hash.Hash
	sent   int64
	last   time.Time // when something was read
	broken error     // of the content
}

// Read gives what comes next of the content.
func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := b.from.Read(p)
	_, _ = b.summed.Write(p[:n])
	b.sent, b.last = b.sent+int64(n), time.Now()
	ended := errors.Is(err, io.EOF)
	if err != nil && !ended {
		b.broken = err
	}
	b.moved(ended)
	return n, err //nolint:wrapcheck // it stands in for the content
}

// end keeps the connection from reading on. False: it is in the middle of a read, which may take for ever, and it is
// not waited for.
func (b *uploadBody) end(wait bool) bool {
	if wait {
		b.mu.Lock()
	} else if !b.mu.TryLock() {
		return false
	}
	b.closed = true
	b.mu.Unlock()
	return true
}
