package subprocess

import (
	"bytes"
	"os"
	"strconv"
)

// residents are the bytes that process groups have in memory, of all processes that /proc shows. Memory that processes
// of a group share counts for each.
func residents() map[int]int64 {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	groups := map[int]int64{}
	page := int64(os.Getpagesize())
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		if group, pages, ok := parseStat(stat); ok {
			groups[group] += pages * page
		}
	}
	return groups
}

// parseStat reads a process's group and resident pages. Its name, in parentheses, may hold anything.
func parseStat(stat []byte) (group int, pages int64, ok bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, 0, false
	}
	// After the name: state, ppid, pgrp, and rss as the 22nd.
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 22 {
		return 0, 0, false
	}
	group, err := strconv.Atoi(string(fields[2]))
	if err != nil {
		return 0, 0, false
	}
	pages, err = strconv.ParseInt(string(fields[21]), 10, 64)
	return group, pages, err == nil
}
