package memory

import (
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestChoose(t *testing.T) {
	const gib = int64(1) << 30
	for name, c := range map[string]struct {
		environ   []string
		available int64
		want      Settings
	}{
		"by itself":                   {[]string{"HOME=/root"}, 4 * gib, Settings{GCPercent: 400, LimitBytes: 3 * gib}},
		"the operator's GOGC":         {[]string{"GOGC=100"}, 4 * gib, Settings{}},
		"the operator's GOMEMLIMIT":   {[]string{"GOMEMLIMIT=1GiB"}, 4 * gib, Settings{}},
		"an empty variable is none":   {[]string{"GOGC="}, 4 * gib, Settings{GCPercent: 400, LimitBytes: 3 * gib}},
		"another with the same start": {[]string{"GOGC_NOTE=1"}, 4 * gib, Settings{GCPercent: 400, LimitBytes: 3 * gib}},
		"nobody knows how much":       {nil, 0, Settings{}},
	} {
		if got := Choose(c.environ, c.available); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestApply(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	Settings{GCPercent: 321, LimitBytes: 1 << 40}.Apply(t.Context())
	Settings{}.Apply(t.Context()) // changes nothing
	if got := debug.SetGCPercent(100); got != 321 {
		t.Errorf("the collector runs at %d %%, want 321", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 1<<40 {
		t.Errorf("the limit is %d, want %d", got, 1<<40)
	}
}

func TestAvailable(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	const (
		info  = "proc/meminfo"
		max   = "sys/fs/cgroup/memory.max"
		limit = "sys/fs/cgroup/memory/memory.limit_in_bytes"
	)
	machine := file("MemFree: 1 kB\nMemTotal:       2048 kB\n")
	for name, c := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"the machine's":              {fstest.MapFS{info: machine}, 2 << 20},
		"a smaller container's":      {fstest.MapFS{info: machine, max: file("4096\n")}, 4096},
		"a container without limit":  {fstest.MapFS{info: machine, max: file("max\n")}, 2 << 20},
		"a limit beyond the machine": {fstest.MapFS{info: machine, limit: file("9223372036854771712\n")}, 2 << 20},
		"version 1":                  {fstest.MapFS{info: machine, limit: file("8192\n")}, 8192},
		"no word of the machine":     {fstest.MapFS{limit: file("8192\n")}, 8192},
		"not this system":            {fstest.MapFS{}, 0},
	} {
		if got := availableIn(c.root); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
