// Package docs_test keeps the documents in step with the project: links,
// commands and flags, make targets, and code that is shown and also stands in a
// file.
package docs_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the project's directory as seen from here.
const root = ".."

// documents are the Markdown files by path, without those of hidden and built
// directories.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" ||
			entry.Name() == "data"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			all[path] = read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"README.md", "docs/DELIVERY.md", "docs/ARCHITECTURE.md", "CONTRIBUTING.md"} {
		if all[filepath.Join(root, must)] == "" {
			t.Fatalf("%s is missing", must)
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// block is a fenced block of a document.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(document string) []block {
	var all []block
	for _, found := range fence.FindAllStringSubmatch(document, -1) {
		all = append(all, block{found[1], found[2]})
	}
	return all
}

// TestLinks follows every relative link, and its anchor to a heading.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, document := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			target, anchor, _ := strings.Cut(found[1], "#")
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link to %s: %v", path, found[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: %s has no heading #%s", path, file, anchor)
			}
		}
	}
}

// anchors are the names by which headings can be linked to.
func anchors(document string) []string {
	var all []string
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(fence.ReplaceAllString(document, ""),
		-1) {
		all = append(all, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return all
}

// help is the help of every command that is named in the documents.
type help struct {
	t      *testing.T
	binary string
	texts  map[string]string
}

func newHelp(t *testing.T) *help {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tasklane")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/tasklane")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped, with the race detector too
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, said)
	}
	return &help{t, binary, map[string]string{}}
}

// of is the help of a command such as "topics ensure"; "" if there is none.
func (h *help) of(command string) string {
	if text, known := h.texts[command]; known {
		return text
	}
	said, err := exec.CommandContext(h.t.Context(), h.binary, append(strings.Fields(command), "--help")...).Output()
	text := string(said)
	if err != nil || command != "" && !strings.Contains(text, "Usage:\n  tasklane "+command) {
		text = ""
	}
	h.texts[command] = text
	return text
}

// commandOf is the command at the start of some words: one, or two where the
// first only has others below it.
func (h *help) commandOf(words []string) string {
	if len(words) > 1 && (words[0] == "topics" || words[0] == "inspect") {
		return words[0] + " " + words[1]
	}
	return words[0]
}

var (
	flagPattern     = regexp.MustCompile(`--[a-z][a-z-]*`)
	variablePattern = regexp.MustCompile(`\bTASKLANE_[A-Z_]+\b`)
)

// TestCommands: every tasklane command in a fenced block exists, and has the
// flags that are given to it.
func TestCommands(t *testing.T) {
	h := newHelp(t)
	call := regexp.MustCompile(`(?m)(?:^|[|;&] *|\b[A-Z_]+=\S+ )(?:bin/)?tasklane +(.*)$`)
	seen := 0
	for path, document := range documents(t) {
		for _, b := range blocks(document) {
			if b.language != "sh" && b.language != "" {
				continue
			}
			text := strings.ReplaceAll(b.text, "\\\n", " ")
			for _, found := range call.FindAllStringSubmatch(text, -1) {
				seen++
				h.check(path, found[1])
			}
		}
		// The same in running text.
		for _, found := range regexp.MustCompile("`(?:[A-Z_]+=\\S+ )?tasklane ([a-z][^`]*)`").FindAllStringSubmatch(document,
			-1) {
			seen++
			h.check(path, found[1])
		}
	}
	if seen < 10 {
		t.Errorf("found only %d commands in the documents", seen)
	}
}

func (h *help) check(path, call string) {
	h.t.Helper()
	command := h.commandOf(strings.Fields(call))
	text := h.of(command)
	if text == "" {
		h.t.Errorf("%s: there is no command %q", path, "tasklane "+command)
		return
	}
	for _, flag := range flagPattern.FindAllString(call, -1) {
		if !strings.Contains(text, flag+" ") {
			h.t.Errorf("%s: tasklane %s has no %s", path, command, flag)
		}
	}
}

// TestConfiguration: the README's table has every flag of `up` and of
// `processor`, and no other; flags and variables named anywhere exist.
func TestConfiguration(t *testing.T) {
	h := newHelp(t)
	var everything strings.Builder
	for _, command := range []string{"up", "producer", "processor", "notifier", "broker", "topics ensure", "submit", "get",
		"result", "watch", "cancel", "pause", "resume", "kill", "limits", "inspect controls", "token"} {
		everything.WriteString(h.of(command))
	}
	readme := read(t, filepath.Join(root, "README.md"))
	_, table, _ := strings.Cut(readme, "\n### Configuration\n")
	table, _, _ = strings.Cut(table, "\n### ")
	for _, flag := range flagPattern.FindAllString(h.of("up")+h.of("processor"), -1) {
		if flag != "--help" && !strings.Contains(table, "`"+flag+"`") {
			t.Errorf("README.md: the configuration table has no %s", flag)
		}
	}
	// Flags of docker and of the project's scripts.
	others := []string{"--build", "--scale", "--no-recreate", "--alter", "--bind", "--directory", "--brokers", "--header"}
	for _, flag := range flagPattern.FindAllString(readme, -1) {
		if !strings.Contains(everything.String(), flag+" ") && !slices.Contains(others, flag) {
			t.Errorf("README.md: no command has %s", flag)
		}
	}
	known := []string{"TASKLANE_CACHE", "TASKLANE_", "TASKLANE_CHILD"}
	for path, document := range documents(t) {
		for _, variable := range variablePattern.FindAllString(document, -1) {
			if !slices.Contains(known, variable) && !strings.HasPrefix(variable, "TASKLANE_TEST_") &&
				!strings.Contains(everything.String(), "$"+variable) {
				t.Errorf("%s: nothing reads %s", path, variable)
			}
		}
	}
}

// TestMakeTargets: what the documents say to make can be made.
func TestMakeTargets(t *testing.T) {
	targets := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(read(t,
		filepath.Join(root, "Makefile")), -1) {
		targets[found[1]] = true
	}
	mentioned := map[string]bool{}
	inText := regexp.MustCompile("`make ([a-z-]+)`")
	inBlock := regexp.MustCompile(`(?m)^make ([a-z-]+)`)
	for path, document := range documents(t) {
		found := inText.FindAllStringSubmatch(document, -1)
		for _, b := range blocks(document) {
			found = append(found, inBlock.FindAllStringSubmatch(b.text, -1)...)
		}
		for _, target := range found {
			mentioned[target[1]] = true
			if !targets[target[1]] {
				t.Errorf("%s: there is no make target %s; there are %v", path, target[1], slices.Sorted(maps.Keys(targets)))
			}
		}
	}
	if !mentioned["demo"] || !mentioned["test"] {
		t.Error("the two commands of a fresh machine, make demo and make test, are not documented")
	}
}

// TestPythonReader: the reader in docs/DELIVERY.md is the one that is tested.
func TestPythonReader(t *testing.T) {
	script := read(t, filepath.Join(root, "scripts/clients/fold.py"))
	for _, b := range blocks(read(t, "DELIVERY.md")) {
		if b.language == "python" && b.text == script {
			return
		}
	}
	t.Error("docs/DELIVERY.md does not show scripts/clients/fold.py as it is")
}

// TestSnippets: code in the README stands in an example that is built, or was
// tried as it is.
func TestSnippets(t *testing.T) {
	kinds := map[string]string{"go": ".go", "python": ".py", "java": ".java", "js": ".js"}
	examples := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "examples"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			examples[path] = unindented(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(read(t, filepath.Join(root, "README.md"))) {
		extension, isCode := kinds[b.language]
		if !isCode {
			continue
		}
		stands := false
		for path, text := range examples {
			stands = stands || strings.HasSuffix(path, extension) && strings.Contains(text, unindented(b.text))
		}
		if !stands {
			t.Errorf("no example has this %s code of README.md:\n%s", b.language, b.text)
		}
	}
}

// unindented is a text without the white space that its lines begin with.
func unindented(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
}

// TestPackages: the table of docs/ARCHITECTURE.md names every package, and no
// other.
func TestPackages(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{if .GoFiles}}{{.ImportPath}}{{end}}", "./...")
	list.Dir = root
	said, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(read(t, "ARCHITECTURE.md"), "\n## Packages\n")
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, found := range regexp.MustCompile("`([a-z/0-9]+)`").FindAllStringSubmatch(first, -1) {
			named[found[1]] = true
		}
	}
	packages := map[string]bool{}
	for path := range strings.FieldsSeq(string(said)) {
		name := strings.TrimPrefix(path, "github.com/aiecs/tasklane/")
		packages[name] = true
		// The tests of these need no line of their own.
		if !named[name] && name != "e2e" {
			t.Errorf("docs/ARCHITECTURE.md: the table has no %s", name)
		}
	}
	for name := range named {
		if !packages[name] {
			t.Errorf("docs/ARCHITECTURE.md: there is no package %s", name)
		}
	}
}

// TestFilesNamed: files named in the architecture and the decisions exist.
func TestFilesNamed(t *testing.T) {
	file := regexp.MustCompile("`((?:[a-z0-9_]+/)*[a-z0-9_]+\\.(?:go|sh|py|yaml))`")
	for path, document := range documents(t) {
		for _, found := range file.FindAllStringSubmatch(document, -1) {
			if !exists(found[1]) {
				t.Errorf("%s: there is no file %s", path, found[1])
			}
		}
	}
}

// exists looks for a path from the root, or for a bare name in every package.
func exists(name string) bool {
	if _, err := os.Stat(filepath.Join(root, name)); err == nil {
		return true
	}
	if strings.Contains(name, "/") {
		return false
	}
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		if found, _ := filepath.Glob(filepath.Join(root, pattern, name)); len(found) > 0 {
			return true
		}
	}
	return false
}

// TestPaths: files and directories of the project that the documents name in backticks are there.
func TestPaths(t *testing.T) {
	tops, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile("`((?:\\./)?[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+)`")
	seen := 0
	for name, document := range documents(t) {
		for _, found := range path.FindAllStringSubmatch(document, -1) {
			top, _, _ := strings.Cut(strings.TrimPrefix(found[1], "./"), "/")
			if top == "data" || !slices.ContainsFunc(tops, func(e fs.DirEntry) bool { return e.IsDir() && e.Name() == top }) {
				continue // of something else: a topic, a service, another project
			}
			seen++
			if _, err := os.Stat(filepath.Join(root, found[1])); err != nil && filepath.Base(name) != "CHANGELOG.md" {
				t.Errorf("%s: there is no %s", name, found[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("found only %d paths in the documents", seen)
	}
}
