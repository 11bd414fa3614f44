package deploy_test

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// instructions are the Dockerfile's, continuation lines joined.
func instructions(t *testing.T) []string {
	t.Helper()
	var all []string
	text := strings.ReplaceAll(read(t, "deploy/Dockerfile"), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

func TestDockerfile(t *testing.T) {
	all := instructions(t)
	text := strings.Join(all, "\n")
	image := regexp.MustCompile(`FROM \S+ golang:(\d+\.\d+)-alpine AS build`).FindStringSubmatch(text)
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if image == nil || module == nil || image[1] != module[1] {
		t.Errorf("the image is built with Go %v, the module asks for %v", image, module)
	}
	_, final, found := strings.Cut(text, "\nFROM scratch\n")
	if !found {
		t.Fatal("the last stage does not start from scratch")
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).MatchString(final) {
		t.Error("the last stage has no USER that is a number other than root's")
	}
	for _, want := range []string{"VOLUME [\"/data\"]", "ENV TASKLANE_DATA_DIR=/data", "ENTRYPOINT [\"/tasklane\"]"} {
		if !strings.Contains(final, want) {
			t.Errorf("the last stage has no %s", want)
		}
	}
	if strings.Contains(final, "\nRUN ") {
		t.Error("the last stage has no shell to run anything")
	}
	if secret := regexp.MustCompile(`(?i)(ARG|ENV)\s+\S*(token|secret|password|key)`).FindString(text); secret != "" {
		t.Errorf("%q would stay in the image's history", secret)
	}
}

// TestBuild runs the Dockerfile's own build command on what .dockerignore lets
// through. The binaries must need nothing that an empty image does not have.
func TestBuild(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("on %s the binaries are built and not looked into", runtime.GOOS)
	}
	form := regexp.MustCompile(`go build (.*) -ldflags "([^"]*)" -o (\S+) (.*)`)
	command := form.FindStringSubmatch(strings.Join(instructions(t), "\n"))
	if command == nil {
		t.Fatal("the Dockerfile has no build command of the known form")
	}
	source, out := t.TempDir(), t.TempDir()
	copyContext(t, source)
	args := append([]string{"build"}, strings.Fields(command[1])...)
	args = append(args, "-ldflags", strings.ReplaceAll(command[2], "$VERSION", "v0.0.0-test"), "-o",
		out+string(filepath.Separator))
	build := exec.CommandContext(t.Context(), "go", append(args, strings.Fields(command[4])...)...)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, said)
	}
	for _, name := range []string{"tasklane", "probe"} {
		if runtime.GOOS == "linux" {
			checkStatic(t, filepath.Join(out, name))
		}
	}
	version, err := exec.CommandContext(t.Context(), filepath.Join(out, "tasklane"), "version", "-o", "jsonl").Output()
	if err != nil || !strings.Contains(string(version), `"v0.0.0-test"`) {
		t.Errorf("the binary says it is %s, %v", version, err)
	}
}

// copyContext copies what the builder is sent: .dockerignore excludes
// everything, then names what is let through, then excludes by file name.
func copyContext(t *testing.T, to string) {
	t.Helper()
	var kept, dropped []string
	for line := range strings.SplitSeq(read(t, ".dockerignore"), "\n") {
		switch {
		case strings.HasPrefix(line, "!"):
			kept = append(kept, line[1:])
		case strings.HasPrefix(line, "**/"):
			dropped = append(dropped, line[3:])
		case line != "" && line != "*" && !strings.HasPrefix(line, "#"):
			t.Fatalf(".dockerignore: %q is of no form that this test knows", line)
		}
	}
	for _, path := range kept {
		err := filepath.WalkDir(filepath.Join(root, path), func(from string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if matchesAny(entry.Name(), dropped) {
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			return copyEntry(from, to, entry)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func matchesAny(name string, patterns []string) bool {
	for _, pattern := range patterns {
		if ok, _ := filepath.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

func copyEntry(from, to string, entry fs.DirEntry) error {
	inside, err := filepath.Rel(root, from)
	if err != nil {
		return err
	}
	target := filepath.Join(to, inside)
	if entry.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(target, content, 0o644)
}

func checkStatic(t *testing.T, path string) {
	t.Helper()
	binary, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }()
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP {
			t.Errorf("%s needs a dynamic linker", path)
		}
	}
	if libraries, _ := binary.ImportedLibraries(); len(libraries) > 0 {
		t.Errorf("%s needs %v", path, libraries)
	}
}
