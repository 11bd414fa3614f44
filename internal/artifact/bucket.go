package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Why a file cannot be had or kept.
var (
	// ErrNotFound: there is no such file, or not for this user.
	ErrNotFound = errors.New("there is no such artifact")
	// ErrDamaged: what is stored is not what was.
	ErrDamaged = errors.New("the artifact is damaged: its content does not have its hash any more")
	// ErrTooLarge: the file has more bytes than one may have.
	ErrTooLarge = errors.New("the file is too large")
	// ErrUserFull: the user's files have as many bytes as they may.
	ErrUserFull = errors.New("the user has no room for this file")
	// ErrFull: all files together have as many bytes as they may, or the disk has no more room.
	ErrFull = errors.New("there is no room for this file")
	// ErrBusy: the user stores too many files at once.
	ErrBusy = errors.New("too many files are being stored at once")
	// ErrUnavailable: the store does not answer. It may do so later.
	ErrUnavailable = errors.New("the store of artifacts cannot be used")
)

// UserFullError is an [ErrUserFull] that says how many bytes the user's other files have, those that are on their way
// included, and how many they may have.
type UserFullError struct{ Used, Limit int64 }

func (e *UserFullError) Error() string {
	return fmt.Sprintf("%v: files have %d bytes of the %d that they may have", ErrUserFull, e.Used, e.Limit)
}

func (e *UserFullError) Unwrap() error { return ErrUserFull }

// object is one thing in a bucket.
type object struct {
	key      string
	size     int64
	modified time.Time
}

// bucket keeps objects by key: elements of letters and digits, with slashes between.
type bucket interface {
	// Put makes an object appear with the whole content of the draft, in the place of one that is
	// there. The draft stays the caller's.
	Put(ctx context.Context, key string, draft *os.File, size int64) error
	// Open reads an object from an offset on, to its end. The error is [ErrNotFound] where there is none.
	Open(ctx context.Context, key string, offset int64) (io.ReadCloser, error)
	// Delete removes an object, if it is there.
	Delete(ctx context.Context, key string) error
	// List is all objects whose keys begin with a prefix, which ends with a slash, in the order of keys.
	List(ctx context.Context, prefix string) ([]object, error)
}
