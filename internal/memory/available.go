package memory

import (
	"bytes"
	"io/fs"
	"os"
	"strconv"
)

// Available is how many bytes this process may have: the machine's, or its
// container's if that has less. 0 where the system does not say.
func Available() int64 { return availableIn(os.DirFS("/")) }

func availableIn(root fs.FS) int64 {
	least := machineBytes(root)
	// Of control groups, version 2 and version 1.
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		// "max" is no limit, and no number; version 1 says so by one that is huge.
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && n > 0 &&
			(least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// machineBytes is MemTotal, which stands in kB.
func machineBytes(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "MemTotal:" {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			return n << 10
		}
	}
	return 0
}
