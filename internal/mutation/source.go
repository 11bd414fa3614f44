package mutation

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// switchName is the variable that says which mutant is on; 0 is none.
const switchName = "mutationSwitch"

// source is a file with its functions.
type source struct {
	name  string
	text  string
	pkg   string
	funcs []function
}

// function is a declaration and where its text stands.
type function struct {
	id         string // receiver and name
	decl       *ast.FuncDecl
	start, end int
}

func parse(name, text string) (*source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	s := &source{name: name, text: text, pkg: file.Name.Name}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		id := f.Name.Name
		if f.Recv != nil {
			id = text[at(f.Recv.Pos()):at(f.Recv.End())] + id
		}
		s.funcs = append(s.funcs, function{id: id, decl: f, start: at(f.Pos()), end: at(f.End())})
	}
	return s, nil
}

func (s *source) body(f function) string { return s.text[f.start:f.end] }

// schema is a file with all its mutants in it.
type schema struct {
	*source
	added    []string
	branches map[string][]string // by function: the ways to its mutants
}

// add takes mutant number n of the file in.
func (s *schema) add(n int, mutated *source) error {
	changed := false
	for _, f := range mutated.funcs {
		at := slices.IndexFunc(s.funcs, func(o function) bool { return o.id == f.id })
		switch {
		case at < 0:
			s.added = append(s.added, mutated.body(f))
			continue
		case s.body(s.funcs[at]) == mutated.body(f):
			continue
		}
		branch, err := branchTo(n, f)
		if err != nil {
			return err
		}
		name := int(f.decl.Name.End()-f.decl.Pos()) + f.start
		s.added = append(s.added, mutated.text[f.start:name]+suffix(n)+mutated.text[name:f.end])
		s.branches[f.id] = append(s.branches[f.id], branch)
		changed = true
	}
	if !changed {
		return fmt.Errorf("%s: no function is changed", s.name)
	}
	return nil
}

func suffix(n int) string { return fmt.Sprint("_mutant", n) }

// branchTo is the statement that goes to the function of mutant n.
func branchTo(n int, f function) (string, error) {
	call := f.decl.Name.Name + suffix(n)
	if f.decl.Recv != nil {
		receiver := f.decl.Recv.List[0].Names
		if len(receiver) != 1 {
			return "", fmt.Errorf("%s: its receiver needs a name", f.id)
		}
		call = receiver[0].Name + "." + call
	}
	var args []string
	for _, field := range f.decl.Type.Params.List {
		if len(field.Names) == 0 {
			return "", fmt.Errorf("%s: its parameters need names", f.id)
		}
		for _, name := range field.Names {
			arg := name.Name
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	call += "(" + strings.Join(args, ", ") + ")"
	if f.decl.Type.Results == nil {
		return fmt.Sprintf("if %s == %d { %s; return }; ", switchName, n, call), nil
	}
	return fmt.Sprintf("if %s == %d { return %s }; ", switchName, n, call), nil
}

// render is the file's text. Its lines keep their numbers.
func (s *schema) render() string {
	var b strings.Builder
	last := 0
	for _, f := range s.funcs {
		brace := f.start + int(f.decl.Body.Lbrace-f.decl.Pos()) + 1
		b.WriteString(s.text[last:brace])
		b.WriteString(strings.Join(s.branches[f.id], ""))
		last = brace
	}
	b.WriteString(s.text[last:])
	for _, text := range s.added {
		b.WriteString("\n" + text + "\n")
	}
	return b.String()
}
