//go:build !(linux || darwin || freebsd)

package broker

import (
	"fmt"
	"os"
)

// dirLock stands in where the system has no flock: there, nothing keeps two
// brokers out of one directory.
type dirLock struct{}

// lockDir only creates the directory.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	return &dirLock{}, nil
}

// unlock does nothing.
func (*dirLock) unlock() {}
