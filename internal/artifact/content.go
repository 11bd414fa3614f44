package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Content is an opened file, for one goroutine. Where it is read from its start to its end, the end
// comes only if all of it has the hash: otherwise the last read fails with [ErrDamaged] and gives
// nothing. It must be closed.
type Content struct {
	Info Info

	ctx    context.Context //nolint:containedctx // of the request or task that has opened it
	store  *Store
	key    string
	offset int64
	from   io.ReadCloser // nil until the first read, and after each Seek
	at     int64         // where from stands
	summed hash.Hash     // of all before at, nil if it was not read from the start
}

// Read reads what comes next.
func (c *Content) Read(p []byte) (int, error) {
	if c.offset >= c.Info.Size {
		if c.Info.Size == 0 && c.offset == 0 {
			return 0, c.check(sha256.New())
		}
		return 0, io.EOF
	}
	if c.from == nil || c.at != c.offset {
		if err := c.open(); err != nil {
			return 0, err
		}
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.Info.Size-c.offset)])
	if c.summed != nil {
		_, _ = c.summed.Write(p[:n])
	}
	c.offset, c.at = c.offset+int64(n), c.at+int64(n)
	switch {
	case c.offset == c.Info.Size && n > 0:
		if err := c.check(c.summed); !errors.Is(err, io.EOF) {
			return 0, err
		}
		return n, nil
	case errors.Is(err, io.EOF):
		return n, c.damaged("it ends early")
	case err != nil:
		return n, c.store.unavailable(c.ctx, fmt.Errorf("read artifact: %w", err))
	}
	return n, nil
}

// Check finds out whether the content is there, without reading it.
func (c *Content) Check() error {
	if c.Info.Size == 0 || c.from != nil && c.at == c.offset {
		return nil
	}
	return c.open()
}

func (c *Content) open() error {
	_ = c.Close()
	from, err := c.store.bucket.Open(c.ctx, c.key, c.offset)
	if errors.Is(err, ErrNotFound) {
		return c.damaged("its content is gone")
	}
	if err != nil {
		return c.store.unavailable(c.ctx, err)
	}
	c.from, c.at, c.summed = from, c.offset, nil
	if c.offset == 0 {
		c.summed = sha256.New()
	}
	return nil
}

// check compares all that was read with the hash, if it was all. io.EOF is that nothing is wrong.
func (c *Content) check(summed hash.Hash) error {
	if summed != nil && hex.EncodeToString(summed.Sum(nil)) != c.Info.Hash {
		return c.damaged("it has another hash")
	}
	return io.EOF
}

func (c *Content) damaged(how string) error {
	c.store.meters.damaged.Inc()
	c.store.config.Logger.Error("an artifact is damaged; storing the same file again mends it", "hash", c.Info.Hash,
		"how", how)
	return ErrDamaged
}

// Seek says where to read on. Nothing is read by it.
func (c *Content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.offset
	case io.SeekEnd:
		offset += c.Info.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek in artifact: offset %d is before its start", offset)
	}
	c.offset = offset
	return offset, nil
}

// Close ends reading.
func (c *Content) Close() error {
	if c.from == nil {
		return nil
	}
	err := c.from.Close()
	c.from = nil
	return err //nolint:wrapcheck // nothing was written
}
