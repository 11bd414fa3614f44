package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
)

// FreeAddresses are addresses of this machine that were free a moment ago: a process that is
// killed and started again has to come back where its clients look for it. They are below the
// ports that systems give to connections, one of which could get them in between. Directories in
// dir say which were given: none is given twice, for between two processes nobody listens there.
func FreeAddresses(ctx context.Context, dir string, count int) (addresses []string, err error) {
	for tries := 0; len(addresses) < count; tries++ {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		err := os.Mkdir(filepath.Join(dir, "port-"+port), 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("note that a port is given: %w", err)
		}
		if err == nil {
			var l net.Listener
			if l, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+port); err == nil {
				l.Close()
				addresses = append(addresses, l.Addr().String())
			}
		}
		if err != nil && tries > 100 {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return addresses, nil
}
