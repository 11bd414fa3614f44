package tasklane_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What keeps packages small enough to be read in one go.
const (
	maxFiles   = 25 // production files of a package
	maxFanOut  = 8  // packages of internal/ that one package of a role imports
	maxMethods = 7  // of an interface
)

// The exceptions of today. Each list only gets shorter: an entry that is no longer
// needed fails the test until it is removed, and nothing is added.

func packagesWithMoreFiles() []string { return nil }

func rolesWithMoreFanOut() []string { return nil }

func interfacesWithMoreMethods() []string {
	return nil
}

// TestPackagesAreSmall counts the files of each package.
func TestPackagesAreSmall(t *testing.T) {
	files := make(map[string]int)
	forEachFile(t, func(file string) {
		if !strings.HasSuffix(file, "_test.go") {
			files[dirOf(file)]++
		}
	})
	atMost(t, maxFiles, files, packagesWithMoreFiles(), "files that are no tests: split the package by what it is about")
}

// TestRolesKnowFewPackages counts what each package of a role imports of internal/.
// More can be composed by cmd/tasklane, or belongs together behind one package.
func TestRolesKnowFewPackages(t *testing.T) {
	imports := make(map[string]map[string]bool)
	forEachImport(t, func(file, imported string) {
		inside, ok := strings.CutPrefix(imported, module+"/internal/")
		dir := dirOf(file)
		if !ok || strings.HasSuffix(file, "_test.go") || !within(dir, []string{"producer", "processor", "notifier"}) {
			return
		}
		if imports[dir] == nil {
			imports[dir] = make(map[string]bool)
		}
		imports[dir][inside] = true
	})
	counts := make(map[string]int)
	for dir, all := range imports {
		counts[dir] = len(all)
		if len(all) > maxFanOut {
			t.Logf("%s imports of internal: %s", dir, strings.Join(slices.Sorted(maps.Keys(all)), " "))
		}
	}
	atMost(t, maxFanOut, counts, rolesWithMoreFanOut(),
		"packages of internal/: compose them in cmd/tasklane, or put together what belongs together")
}

// TestInterfacesAreSmall counts the methods of each interface, those of embedded
// ones included; one of another module counts as one.
func TestInterfacesAreSmall(t *testing.T) {
	declared := make(map[string]*ast.InterfaceType)
	forEachFile(t, func(file string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if i, ok := spec.Type.(*ast.InterfaceType); ok {
					declared[dirOf(file)+"."+spec.Name.Name] = i
				}
			}
			return true
		})
	})
	if len(declared) < 10 {
		t.Fatalf("only %d interfaces were found", len(declared))
	}
	counts := make(map[string]int)
	for name := range declared {
		counts[name] = methodsOf(name, declared)
	}
	atMost(t, maxMethods, counts, interfacesWithMoreMethods(), "methods: split the interface by who calls them")
}

// methodsOf counts the methods of an interface, DIR.NAME.
func methodsOf(name string, declared map[string]*ast.InterfaceType) int {
	count := 0
	for _, field := range declared[name].Methods.List {
		embedded := ""
		switch of := field.Type.(type) {
		case *ast.Ident:
			embedded = name[:strings.LastIndexByte(name, '.')] + "." + of.Name
		case *ast.SelectorExpr:
			for other := range declared {
				if x, ok := of.X.(*ast.Ident); ok && strings.HasSuffix("/"+other, "/"+x.Name+"."+of.Sel.Name) {
					embedded = other
				}
			}
		}
		if declared[embedded] != nil {
			count += methodsOf(embedded, declared)
			continue
		}
		count += max(1, len(field.Names))
	}
	return count
}

// atMost reports what is above the limit without being excepted, and exceptions
// that are not above it.
func atMost(t *testing.T, limit int, counts map[string]int, excepted []string, what string) {
	t.Helper()
	if len(counts) == 0 {
		t.Fatal("nothing was counted")
	}
	for _, problem := range overLimit(limit, counts, excepted, what) {
		t.Error(problem)
	}
}

func overLimit(limit int, counts map[string]int, excepted []string, what string) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > limit && !slices.Contains(excepted, name) {
			problems = append(problems, fmt.Sprintf("%s has %d, more than %d %s", name, counts[name], limit, what))
		}
	}
	for _, name := range excepted {
		if counts[name] <= limit {
			problems = append(problems, fmt.Sprintf(
				"%s has %d, at most %d are right: remove it from the exceptions in limits_test.go", name, counts[name], limit))
		}
	}
	return problems
}

func dirOf(file string) string { return path.Dir(filepath.ToSlash(file)) }

// home is where an import has its place: the directories, and nowhere else.
type home struct {
	imported string // and what is below it
	dirs     []string
	reason   string
}

// homes are the places of what would otherwise spread.
func homes() []home {
	const service = "a provider's SDK is behind the service that speaks to it; limits, budgets and prices know none"
	return []home{
		{"github.com/openai/openai-go", []string{"processor/services/openai"}, service},
		{"google.golang.org/genai", []string{"processor/services/vertex"}, service},
		{"cloud.google.com/go/vertexai", []string{"processor/services/vertex"}, service},
		{"github.com/anthropics/anthropic-sdk-go", []string{"processor/services/anthropic"}, service},
		{"github.com/minio/minio-go", []string{"internal/artifact"}, "where files are kept is one package's business"},
		{"go.opentelemetry.io/otel/sdk", []string{"internal/telemetry"},
			"everybody else uses the API, which does nothing until telemetry sets it up"},
		{"go.opentelemetry.io/otel/exporters", []string{"internal/telemetry"}, "as for the SDK"},
		{"github.com/gin-gonic/gin", []string{"internal/httpedge", "producer", "notifier", "processor/external/remote"},
			"HTTP is routed by internal/httpedge and served by producer, notifier and what remote workers ask"},
		{module + "/internal/cli", []string{"internal/cli", "cmd"}, "what is for people at a terminal serves no role"},
		{module + "/internal/demo", []string{"internal/demo", "cmd"}, "as for cli"},
	}
}

// strangers are the parts of a role that do not import one another: each could be
// left out, and talks to the others as a user does.
func strangers() []string {
	return []string{"producer/api", "producer/dashboard", "producer/scheduler", "producer/openai", "producer/mcp"}
}

// misplaced says why a directory may not import something, "" if it may.
func misplaced(dir, imported string) string {
	for _, h := range homes() {
		if within(imported, []string{h.imported}) && !within(dir, h.dirs) {
			return h.reason
		}
	}
	inside, _ := strings.CutPrefix(imported, module+"/")
	for _, part := range strangers() {
		if within(dir, []string{part}) && !within(inside, []string{part}) && within(inside, strangers()) {
			return "api, dashboard, scheduler and the doors do not import one another; they talk as users do"
		}
	}
	return ""
}

// TestImportsAreAtHome keeps libraries in their place, and parts apart.
func TestImportsAreAtHome(t *testing.T) {
	forEachImport(t, func(file, imported string) {
		if why := misplaced(dirOf(file), imported); why != "" {
			t.Errorf("%s imports %s: %s", file, imported, why)
		}
	})
}

// TestLimitsCanFail tries the rules above on what they should refuse, and on what they
// should not: some of the places they speak of are not there yet.
func TestLimitsCanFail(t *testing.T) {
	for _, c := range []struct {
		dir, imported string
		refused       bool
	}{
		{"processor/services/openai", "github.com/openai/openai-go/v3/option", false},
		{"processor/services/xai", "github.com/openai/openai-go/v3", true},
		{"processor/provider", "github.com/anthropics/anthropic-sdk-go", true},
		{"processor/services/vertex", "google.golang.org/genai", false},
		{"processor/services/openai", "google.golang.org/genai", true},
		{"internal/telemetry", "go.opentelemetry.io/otel/sdk/trace", false},
		{"producer/api", "go.opentelemetry.io/otel/sdk/trace", true},
		{"cmd/tasklane", "go.opentelemetry.io/otel/exporters/otlp/otlptrace", true},
		{"producer/api", "go.opentelemetry.io/otel/trace", false},
		{"internal/taskview", "github.com/gin-gonic/gin", true},
		{"producer/api", "github.com/gin-gonic/gin/binding", false},
		{"processor/external/httpservice", "github.com/gin-gonic/gin", true},
		{"producer/api", module + "/producer/scheduler", true},
		{"producer/dashboard", module + "/producer/api", true},
		{"producer/scheduler", module + "/producer/api/tasks", true},
		{"producer/mcp", module + "/producer/openai", true},
		{"producer", module + "/producer/api", false},
		{"producer/api/tasks", module + "/producer/api", false},
		{"producer/api", module + "/internal/auth", false},
		{"internal/auth", module + "/internal/cli", true},
		{"processor", module + "/internal/demo", true},
		{"cmd/tasklane", module + "/internal/cli", false},
	} {
		if why := misplaced(c.dir, c.imported); (why != "") != c.refused {
			t.Errorf("%s imports %s: refused because %q, want refused %v", c.dir, c.imported, why, c.refused)
		}
	}
	counts := map[string]int{"a": 25, "b": 26, "c": 30, "d": 3}
	got := overLimit(25, counts, []string{"c", "d", "gone"}, "files")
	want := []string{"b has 26", "d has 3", "gone has 0"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("found %q, want %q", got, want)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
type A interface { a(); b() }
type B interface { A; io.Reader; c(int) (x, y int) }`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]*ast.InterfaceType)
	for _, d := range parsed.Decls {
		spec := d.(*ast.GenDecl).Specs[0].(*ast.TypeSpec)
		declared["x."+spec.Name.Name] = spec.Type.(*ast.InterfaceType)
	}
	if n := methodsOf("x.B", declared); n != 4 {
		t.Errorf("B has %d methods, want 4", n)
	}
}
