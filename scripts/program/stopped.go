package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// stopSignalTime is how long a process may take to come to rest after SIGSTOP.
const stopSignalTime = 10 * time.Second

// AwaitStopped waits until a process that was sent SIGSTOP is at rest. The signal is delivered to its threads one
// after the other, some time after the call that sends it: until then the process still answers.
func AwaitStopped(ctx context.Context, pid int) error {
	if !Until(ctx, stopSignalTime, func() bool { return Stopped(ctx, pid) }) {
		return fmt.Errorf("stop process %d: it is not at rest %v after SIGSTOP", pid, stopSignalTime)
	}
	return nil
}

// Stopped reports whether a process, with every thread of it, is stopped by a signal. One that is gone is not.
func Stopped(ctx context.Context, pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if len(threads) == 0 { // gone, or a system without /proc
		state, err := exec.CommandContext(ctx, "ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
		return err == nil && bytes.HasPrefix(bytes.TrimSpace(state), []byte("T"))
	}
	for _, thread := range threads {
		if stat, err := os.ReadFile(thread); err != nil || threadState(stat) != 'T' {
			return false
		}
	}
	return true
}

// threadState is the letter behind the name in a line of /proc/PID/task/TID/stat. The name is in parentheses, and may
// hold some itself.
func threadState(stat []byte) byte {
	if end := bytes.LastIndexByte(stat, ')'); end >= 0 && end+2 < len(stat) {
		return stat[end+2]
	}
	return 0
}
