package tasklane_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aiecs/tasklane"

// layer is what a directory's code may import, and why not more.
type layer struct {
	dir    string
	may    []string // directories of the project
	reason string
}

// layers are tried in order; the first whose dir is a prefix decides.
var layers = []layer{
	{"schemas", nil, "the contract must be usable by everybody, so it depends on nobody"},
	{"internal/cli", []string{"schemas", "internal/auth", "internal/cli", "client"},
		"commands use the SDK that users have; token makes tokens"},
	{"internal/demo", []string{"schemas", "internal/demo", "internal/pace", "client", "examples/reviews"},
		"the demo is a user of the SDK"},
	{"internal", []string{"schemas", "internal"}, "internal packages serve the roles and know none of them"},
	{"producer", []string{"schemas", "internal", "producer"}, "roles meet only through the topics"},
	{"processor/services", []string{"schemas", "internal", "processor"},
		"a service knows the handler API and its own business"},
	{"processor", []string{"schemas", "internal", "processor"}, "roles meet only through the topics"},
	{"notifier", []string{"schemas", "internal", "notifier", "client/browser"},
		"roles meet only through the topics; the file for browsers is served, not called"},
	{"client/browser", nil, "one file for browsers and its handler"},
	{"client/clienttest", []string{"schemas", "client", "internal/query", "internal/nearest"},
		"what a test's server refuses is what the API refuses, in its words"},
	{"client", []string{"schemas", "client"}, "the SDK speaks HTTP and WebSocket; no Kafka type may leak into it"},
	{"examples", []string{"schemas", "client", "processor", "examples"}, "examples show the public packages"},
	{"cmd", []string{"schemas", "internal", "producer", "processor", "notifier", "client", "examples", "cmd"},
		"the command composes everything"},
	{"scripts/chaos/checker", nil, "what judges the product shares no code with it"},
	{"scripts/chaos/proxy", []string{"scripts/chaos/proxy"}, "the proxy knows Kafka and not the product"},
	{"scripts/program", nil, "it runs the built binary and knows it from outside"},
	{"scripts/chaos", []string{"internal/badtasks", "scripts/chaos", "scripts/program"},
		"chaos drives the built binary and sees the raw topics"},
	{"scripts/storm", []string{"client", "scripts/chaos/checker", "scripts/program", "scripts/storm"},
		"storm drives the built binary and the SDK, and folds the raw topic by itself"},
	{"scripts/fanout", []string{"schemas", "internal", "notifier", "scripts/fanout"},
		"the benchmark runs the notifier in its own process"},
	{"scripts", []string{"schemas", "internal", "client", "processor", "scripts"},
		"programs for development see what a user sees"},
	{"e2e", []string{"internal/badtasks", "scripts/program", "e2e"}, "end-to-end tests drive the built binary"},
}

// kafkaFiles are the only places where a Kafka client type may appear: these
// directories, and one wiring file for each role. internal/webhooks has a log and
// a group of its own; they stay in its files named for Kafka.
var kafkaFiles = []string{
	"internal/lane/", "internal/kafka/", "internal/logreader/", "internal/ownership/", "internal/broker/",
	"internal/taskview/",
	"internal/control/", "internal/definitions/", "internal/kafkatest/", "internal/webhooks/kafka_",
	"producer/kafka.go", "processor/provider/kafka.go", "producer/internal/producertest/", "notifier/history/kafka.go",
	"e2e/", "scripts/",
}

// TestLayers keeps the import rules of docs/ARCHITECTURE.md.
func TestLayers(t *testing.T) {
	forEachImport(t, func(file, imported string) {
		inside, ok := strings.CutPrefix(imported, module+"/")
		if !ok {
			return
		}
		dir := filepath.ToSlash(filepath.Dir(file))
		l, ok := layerOf(dir)
		if !ok {
			t.Errorf("%s: the directory has no layer; add it to architecture_test.go with a reason", file)
			return
		}
		if strings.HasSuffix(file, "_test.go") && within(inside, []string{
			"internal/kafkatest", "internal/badtasks", "internal/badrequests", "internal/logtest", "internal/rapidtest",
		}) {
			return
		}
		if !within(inside, l.may) {
			t.Errorf("%s imports %s: %s", file, inside, l.reason)
		}
		if l.dir == "processor" && within(inside, []string{"processor/services"}) && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s imports %s: the processor's core knows no service", file, inside)
		}
	})
}

// TestKafkaStaysInItsPlace keeps franz-go out of everything but the packages
// that are about Kafka.
func TestKafkaStaysInItsPlace(t *testing.T) {
	forEachImport(t, func(file, imported string) {
		if !strings.HasPrefix(imported, "github.com/twmb/franz-go") || strings.HasSuffix(file, "_test.go") {
			return
		}
		if !slices.ContainsFunc(kafkaFiles, func(allowed string) bool {
			return strings.HasPrefix(filepath.ToSlash(file), allowed)
		}) {
			t.Errorf("%s imports %s: Kafka types stay in %s", file, imported, strings.Join(kafkaFiles, ", "))
		}
	})
}

// TestShardTouchesNothing keeps what decides what counts, and all that it is made of,
// without Kafka, network and files: the tests can put it into worlds of their own.
func TestShardTouchesNothing(t *testing.T) {
	pure := []string{"internal/shard", "internal/fold", "internal/heap", "schemas"}
	forEachImport(t, func(file, imported string) {
		dir := filepath.ToSlash(filepath.Dir(file))
		if !slices.Contains(pure, dir) || strings.HasSuffix(file, "_test.go") {
			return
		}
		inside, ours := strings.CutPrefix(imported, module+"/")
		switch {
		case ours && !slices.Contains(pure, inside):
			t.Errorf("%s imports %s: it is made of %s alone", file, inside, strings.Join(pure, ", "))
		case !ours && touches(imported):
			t.Errorf("%s imports %s: the shard is a state machine without I/O", file, imported)
		}
	})
}

// touches reports whether an import of another's can reach the world outside: all but
// what the standard library has for values, and the JSON library.
func touches(imported string) bool {
	switch first, _, _ := strings.Cut(imported, "/"); {
	case imported == "net/url", imported == "net/netip":
		return false
	case strings.Contains(first, "."):
		return !within(imported, []string{"github.com/go-json-experiment/json"})
	}
	return within(imported, []string{"net", "os", "syscall", "database", "io/fs", "io/ioutil", "crypto/tls",
		"log/syslog", "plugin", "path/filepath", "unsafe", "C"})
}

// TestShardTouches tries the rule on what it should refuse, and on what it should not.
func TestShardTouches(t *testing.T) {
	for imported, refused := range map[string]bool{
		"os": true, "os/exec": true, "net": true, "net/http": true, "net/rpc": true, "crypto/tls": true, "io/ioutil": true,
		"database/sql": true, "syscall": true, "modernc.org/sqlite": true, "github.com/gorilla/websocket": true,
		"github.com/twmb/franz-go/pkg/kgo": true, "golang.org/x/sys/unix": true,
		"time": false, "log/slog": false, "net/url": false, "net/netip": false, "io": false, "unique": false,
		"github.com/go-json-experiment/json/jsontext": false,
	} {
		if touches(imported) != refused {
			t.Errorf("%s: refused is %v", imported, !refused)
		}
	}
}

// TestNoInit forbids init functions: what a package needs it is
// given.
func TestNoInit(t *testing.T) {
	forEachFile(t, func(file string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range functionNames(parsed) {
			if name == "init" {
				t.Errorf("%s has an init function: pass what is needed to a constructor", file)
			}
		}
	})
}

func functionNames(file *ast.File) []string {
	var names []string
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
			names = append(names, f.Name.Name)
		}
	}
	return names
}

func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if within(dir, []string{l.dir}) {
			return l, true
		}
	}
	return layer{}, false
}

func within(path string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") })
}

func forEachFile(t *testing.T, visit func(file string)) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && strings.Contains(path, string(filepath.Separator)):
			found++
			visit(path)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Fatalf("walk the project: %d files, %v", found, err)
	}
}

func forEachImport(t *testing.T, visit func(file, imported string)) {
	t.Helper()
	forEachFile(t, func(file string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			visit(file, imported)
		}
	})
}
