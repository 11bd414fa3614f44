package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/cli"
)

// version is set by the linker (-X main.version=v1.2.3); without that the
// build's own information is used.
var version string

// build is what is known of this binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitzero"`
	Modified bool   `json:"modified,omitzero"`
	Time     string `json:"time,omitzero"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	var form cli.Form
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Prints the version of this binary",
		Example: "  tasklane version -o json",
		Args:    cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			return a.Printer(form).One(readBuild(version, info))
		},
	}
	form.AddTo(cmd.Flags())
	return cmd
}

func readBuild(linked string, info *debug.BuildInfo) build {
	b := build{Version: linked, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}

func (b build) Columns() []string { return []string{"VERSION", "REVISION", "GO", "PLATFORM"} }

func (b build) Cells() []string {
	revision := fmt.Sprintf("%.12s", b.Revision)
	if b.Modified {
		revision += " (modified)"
	}
	return []string{b.Version, revision, b.Go, b.Platform}
}
