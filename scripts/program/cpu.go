package program

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of CPU time in /proc: USER_HZ is 100 wherever Go runs on Linux, see proc(5).
const clockTick = 10 * time.Millisecond

// CPUTime is what a process has used so far, in user and in system mode; 0 if it is gone, or on a system without /proc.
func CPUTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return cpuTime(stat)
}

// cpuTime reads utime and stime, the 14th and 15th field of a line of /proc/PID/stat. The second is the name in
// parentheses, which may hold spaces and parentheses itself.
func cpuTime(stat []byte) time.Duration {
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * clockTick
}
