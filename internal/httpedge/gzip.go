package httpedge

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// AcceptEncoding is what a body may be encoded with.
const AcceptEncoding = "gzip"

// unzipRoom is what it takes to decode a body, in bytes: a window and its tables.
const unzipRoom = 64 << 10

// isZipped reports whether a body is gzip. Any other encoding is an error.
func isZipped(header http.Header) (bool, error) {
	said := strings.ToLower(strings.Join(header.Values("Content-Encoding"), ","))
	switch said {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	}
	return false, &encodingError{ErrEncoding, "the body's Content-Encoding, " + nameOf(said) +
		", is not read here; send it as it is, or with Content-Encoding: gzip"}
}

// encodingError is an [ErrEncoding] or [ErrNotEncoded] that says more.
type encodingError struct {
	error
	says string
}

func (e *encodingError) Unwrap() error { return e.error }

// nameOf is an encoding as people call it, with the name that the header has for it.
func nameOf(encoding string) string {
	switch encoding {
	case "br":
		return "br (Brotli)"
	case "deflate":
		return "deflate (zlib)"
	case "zstd", "compress":
		return encoding
	}
	return fmt.Sprintf("%.60q", encoding)
}

// unzip decodes while it is read, so that what comes out is bounded by who reads.
type unzip struct {
	from    io.Reader
	decoder *gzip.Reader // since the first read, which waits for the header
}

// Read gives what is decoded. Its error is [ErrNotEncoded] if that cannot be.
func (u *unzip) Read(p []byte) (int, error) {
	if u.decoder == nil {
		from := bufio.NewReader(u.from)
		var start []byte
		if magic, err := from.Peek(2); err == nil && string(magic) != "\x1f\x8b" {
			start, _ = from.Peek(from.Buffered())
		}
		decoder, err := gzip.NewReader(from)
		if err != nil {
			return 0, whatInstead(start, notZipped(err))
		}
		u.decoder = decoder
	}
	n, err := u.decoder.Read(p)
	return n, notZipped(err)
}

// notZipped tells what is wrong with the data from what is wrong with the connection.
// An end, which is none of the data's faults, it leaves alone.
func notZipped(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt),
		errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrNotEncoded, err)
	}
	return err //nolint:wrapcheck // an io.Reader's error, which its reader compares
}

// whatInstead says what a body is that does not begin as gzip, where its start tells.
func whatInstead(start []byte, err error) error {
	const send = "leave the header out, or send gzip"
	is := schemas.ForeignFormat(start, send)
	switch {
	case !errors.Is(err, ErrNotEncoded):
		return err
	case is == "" && len(start) > 0 && (start[0] == '{' || start[0] == '['):
		is = "is plain JSON; " + send
	case is == "":
		return err
	}
	return &encodingError{err, "the body is said to be gzip and " + is}
}
