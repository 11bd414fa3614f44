package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
		{Key: "vcs.time", Value: "2026-01-31T09:30:00Z"},
	}}
	if b := readBuild("", info); b.Version != "v1.2.3" || b.Cells()[1] != "0123456789ab (modified)" || b.Time == "" {
		t.Errorf("build %+v", b)
	}
	if b := readBuild("v9", info); b.Version != "v9" {
		t.Errorf("the linker's version is not used: %+v", b)
	}
	if b := readBuild("", nil); b.Version != "devel" {
		t.Errorf("without any information %+v", b)
	}
	if got := run(t, []string{"version", "-o", "jsonl"}); got.code != exitFine ||
		!strings.Contains(got.stdout, `"platform":`) {
		t.Errorf("%+v", got)
	}
}
