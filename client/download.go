package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// ErrDamaged says that what came, after what there was, does not have the file's hash.
var ErrDamaged = errors.New("the file does not have its hash")

// DownloadRequest says which file is wanted.
type DownloadRequest struct {
	// UserID is whose it is: the token's user's if empty, and everybody's where there is no token either.
	UserID string
	// Artifact is the file. A Size that is not 0 is how large it has to be.
	Artifact schemas.Artifact
	// Begin is what an earlier download has left of it, from the file's start on, nil for nothing. It counts into the
	// hash and is not asked for again.
	Begin io.Reader
}

// Download writes a file, or what is missing of it, and says what it is. It goes on where a connection was cut, and the
// content is not kept in memory: what was written is only good if the error is nil, for the hash is known at its end.
// [ErrDamaged] is the error where it is wrong then. No more is written than the server has said that the file has.
func (c *Client) Download(ctx context.Context, request DownloadRequest, to io.Writer) (schemas.Artifact, error) {
	d := &download{client: c, request: request, to: to, summed: sha256.New(), file: request.Artifact}
	err := d.begin()
	if tries := c.newRetry(); err == nil {
		err = c.try(ctx, tries, func(token string) error {
			before := d.at
			err := d.get(ctx, token)
			if d.at > before {
				tries.answered()
			}
			return err
		})
	}
	if err == nil && hex.EncodeToString(d.summed.Sum(nil)) != d.file.Hash {
		err = ErrDamaged
	}
	if err != nil {
		return schemas.Artifact{}, fmt.Errorf("download artifact %.64s: %w", request.Artifact.Hash, err)
	}
	d.file.Size = d.at
	return d.file, nil
}

// DeleteArtifact takes a file from a user; others who have the same content keep it. One that the user does not have is
// an [*APIError] with Status 404.
func (c *Client) DeleteArtifact(ctx context.Context, userID, hash string) error {
	one := call{method: http.MethodDelete, path: []string{"v1", "artifacts", hash}, query: lookup{user: userID}.query()}
	if _, err := c.do(ctx, c.newRetry(), one); err != nil {
		return fmt.Errorf("delete artifact %.64s: %w", hash, err)
	}
	return nil
}

// download is a file on its way.
type download struct {
	client  *Client
	request DownloadRequest
	to      io.Writer
	summed  hash.Hash
	at      int64 // bytes of the file that are there
	file    schemas.Artifact
}

// begin counts in what is there.
func (d *download) begin() error {
	if len(d.file.Hash) != hex.EncodedLen(sha256.Size) {
		return errors.New("an artifact is named by the 64 digits of its SHA-256")
	}
	if d.request.Begin == nil {
		return nil
	}
	var err error
	if d.at, err = io.Copy(d.summed, d.request.Begin); err != nil {
		return fmt.Errorf("read its beginning: %w", err)
	}
	return nil
}

// get asks for what is missing, once.
func (d *download) get(ctx context.Context, token string) error {
	patience := d.client.patience()
	ctx, silence := breakSilence(ctx, patience)
	defer silence.over()
	err := d.exchange(ctx, token, func() { silence.moved(patience) })
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSilence) {
		return cause
	}
	return err
}

func (d *download) exchange(ctx context.Context, token string, moved func()) error {
	one := call{method: http.MethodGet, path: []string{"v1", "artifacts", d.file.Hash},
		query: lookup{user: d.request.UserID}.query()}
	request, err := d.client.newRequest(ctx, one, token)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "*/*")
	request.Header.Set("Accept-Encoding", "identity")
	if d.at > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	response, err := d.client.http.Do(request)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	moved()
	from, size := span(response)
	switch {
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && size >= 0:
		return d.check(size, size) // all of it is there already, or too much
	case response.StatusCode == http.StatusOK, response.StatusCode == http.StatusPartialContent:
		if err := d.check(from, size); err != nil {
			return err
		}
		d.describe(response.Header)
		return d.copy(response.Body, from, size, moved)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return unreachable(fmt.Errorf("read answer: %w", err))
	}
	return refusal{newAPIError(response.StatusCode, text), retryAfter(response.Header, time.Now())}
}

// span is where in the file an answer begins, and how large the file is; below 0 if it does not say.
func span(response *http.Response) (from, size int64) {
	if response.StatusCode == http.StatusOK {
		return 0, response.ContentLength
	}
	text := strings.TrimPrefix(response.Header.Get("Content-Range"), "bytes ")
	part, total, found := strings.Cut(text, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if !found || err != nil || size < 0 {
		return -1, -1
	}
	first, _, _ := strings.Cut(part, "-")
	if from, err = strconv.ParseInt(first, 10, 64); err != nil || from < 0 {
		return -1, size
	}
	return from, size
}

// check compares what an answer says of itself with what is wanted.
func (d *download) check(from, size int64) error {
	switch {
	case from < 0 || size < 0:
		return &finalError{fmt.Errorf("%w: it does not say how large the file is", errMalformed)}
	case d.request.Artifact.Size > 0 && size != d.request.Artifact.Size:
		return &finalError{fmt.Errorf("%w: the file has %d bytes there, and %d were expected", errMalformed, size,
			d.request.Artifact.Size)}
	case d.at > size:
		return &finalError{fmt.Errorf("%w: %d bytes were there before, and it has %d", ErrDamaged, d.at, size)}
	case from > d.at:
		return &finalError{fmt.Errorf("%w: bytes from %d on were asked for, and %d is the first", errMalformed, d.at, from)}
	}
	return nil
}

// describe takes the file's name and type from an answer, where the request did not say.
func (d *download) describe(header http.Header) {
	if d.file.Type == "" {
		d.file.Type = header.Get("Content-Type")
	}
	if _, parameters, err := mime.ParseMediaType(header.Get("Content-Disposition")); err == nil && d.file.Name == "" {
		d.file.Name = parameters["filename"]
	}
}

// copy writes what an answer has, from a place in the file on, but for what is there already.
func (d *download) copy(body io.Reader, from, size int64, moved func()) error {
	buffer := make([]byte, 64<<10)
	for from < size {
		n, err := body.Read(buffer[:min(int64(len(buffer)), size-from)])
		moved()
		fresh := buffer[min(int64(n), max(0, d.at-from)):n]
		from += int64(n)
		if len(fresh) > 0 {
			if _, err := d.to.Write(fresh); err != nil {
				return &finalError{fmt.Errorf("write file: %w", err)}
			}
			_, _ = d.summed.Write(fresh)
			d.at += int64(len(fresh))
		}
		if err != nil && from < size {
			return unreachable(fmt.Errorf("read file: %w", err))
		}
	}
	return nil
}
