package mutation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"testing/fstest"
)

const original = `package sums

type sum struct{ n int }

// add is what a mutant changes.
func (s *sum) add(values ...int) int {
	for _, v := range values {
		s.n += v
	}
	return s.n
}

func (s *sum) clear() { s.n = 0 }

func (*sum) size(int) int { return 1 }
`

func sums() fstest.MapFS { return fstest.MapFS{"sum.go": {Data: []byte(original)}} }

// TestOverlayHoldsEveryMutant: the original goes to each, and stands where it
// stood.
func TestOverlayHoldsEveryMutant(t *testing.T) {
	s := Suite{Mutants: []Mutant{
		{Rule: "adds", Edits: []Edit{{"sum.go", "s.n += v", "s.n -= v"}}},
		{Rule: "clears", Edits: []Edit{
			{"sum.go", "s.n = 0", "s.n = zero()"},
			{"sum.go", "// add is what", "func zero() int { return 1 }\n\n// add is what"},
		}},
		{Rule: "adds all", Edits: []Edit{{"sum.go", "range values", "range values[1:]"}}},
	}}
	files, err := s.overlay(sums())
	if err != nil {
		t.Fatal(err)
	}
	text := files["sum.go"]
	for _, want := range []string{
		"func (s *sum) add(values ...int) int {if mutationSwitch == 1 { return s.add_mutant1(values...) }; if " +
			"mutationSwitch == 3 { return s.add_mutant3(values...) }; \n",
		"func (s *sum) clear() {if mutationSwitch == 2 { s.clear_mutant2(); return };  s.n = 0 }",
		"s.n -= v", "s.n = zero()", "range values[1:]", "func zero() int",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the overlay has no %q:\n%s", want, text)
		}
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "sum.go", text, 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	size := file.Decls[3].(*ast.FuncDecl)
	if line := set.Position(size.Pos()).Line; size.Name.Name != "size" || line != 15 {
		t.Errorf("%s stands in line %d, want size in 15", size.Name.Name, line)
	}
	if _, err := parser.ParseFile(set, switchFile, files[switchFile], 0); err != nil ||
		!strings.Contains(files[switchFile], "package sums") {
		t.Errorf("the switch: %v\n%s", err, files[switchFile])
	}
}

func TestOverlayRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit Edit
		want string
	}{
		{"a text that is not there", Edit{"sum.go", "s.m", "s.n"}, "0 times"},
		{"a text that is there twice", Edit{"sum.go", "s.n", "s.m"}, "times, want once"},
		{"a change outside of functions", Edit{"sum.go", "{ n int }", "{ n int64 }"}, "no function is changed"},
		{"what cannot be called", Edit{"sum.go", "return 1", "return 2"}, "needs a name"},
		{"what is no Go", Edit{"sum.go", "return 1 }", "return 1"}, "parse"},
		{"a file that is not there", Edit{"product.go", "a", "b"}, "read file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Suite{Mutants: []Mutant{{Rule: "a rule", Edits: []Edit{tt.edit}}}}.overlay(sums())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "a rule: ") {
				t.Errorf("got %v, want an error with the rule and %q", err, tt.want)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name, output, said string
		failed             bool
	}{
		{"a failure", "--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\n        a_test.go:7: 17 states\n        " +
			"a_test.go:9: I1: two ends\nFAIL\n", "TestA/b: I1: two ends", true},
		{"a panic", "panic: index out of range\n\ngoroutine 7 [running]:\n", ": panic: index out of range", true},
		{"a time-out", "panic: test timed out after 2m0s\n--- FAIL: TestA (0.00s)\n", "", false},
		{"no test failed", "goleak: Errors on successful test run\n", ": ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if said, failed := verdict(tt.output); said != tt.said || failed != tt.failed {
				t.Errorf("got %q, %t, want %q, %t", said, failed, tt.said, tt.failed)
			}
		})
	}
}
