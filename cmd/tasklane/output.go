package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"
)

// outputForm is the value of -o.
type outputForm string

const (
	formTable outputForm = "table"
	formJSON  outputForm = "json"
	formLines outputForm = "jsonl"
)

func (f *outputForm) addTo(flags *pflag.FlagSet) {
	*f = formTable
	flags.VarP(f, "output", "o", "form of the output: table, json or jsonl (one line a document)")
}

// String is the form's name.
func (f *outputForm) String() string { return string(*f) }

// Type names the kind of value in the help.
func (f *outputForm) Type() string { return "form" }

// Set reads the form's name.
func (f *outputForm) Set(s string) error {
	switch form := outputForm(s); form {
	case formTable, formJSON, formLines:
		*f = form
		return nil
	}
	return fmt.Errorf("use table, json or jsonl")
}

// row is what can be printed in every form; as JSON it is itself.
type row interface {
	columns() []string
	cells() []string
}

// printer prints rows in one form.
type printer struct {
	to   io.Writer
	form outputForm
}

func (a *app) printer(form outputForm) printer { return printer{a.stdout, form} }

// one prints a single row.
func (p printer) one(r row) error {
	if p.form != formTable {
		return p.document(r)
	}
	return p.table(r.columns(), r.cells())
}

// all prints rows that are known together.
func (p printer) all(rows []row) error {
	if p.form == formTable && len(rows) > 0 {
		lines := [][]string{rows[0].columns()}
		for _, r := range rows {
			lines = append(lines, r.cells())
		}
		return p.table(lines...)
	}
	for _, r := range rows {
		if err := p.line(r); err != nil {
			return err
		}
	}
	return nil
}

func (p printer) table(lines ...[]string) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		_, _ = fmt.Fprintln(table, strings.Join(visible(line), "\t")) // a strings.Builder takes everything
	}
	_ = table.Flush()
	if _, err := io.WriteString(p.to, text.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// line prints one of many rows as soon as it is there, so that its columns
// cannot be aligned with later ones.
func (p printer) line(r row) error {
	if p.form != formTable {
		return p.document(r)
	}
	if _, err := fmt.Fprintln(p.to, strings.Join(visible(r.cells()), "  ")); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (p printer) document(v any) error {
	// Canonical order keeps the output of two runs comparable.
	options := []json.Options{json.Deterministic(true)}
	if p.form == formJSON {
		options = append(options, jsontext.WithIndent("  "))
	}
	text, err := json.Marshal(v, options...)
	if err == nil {
		_, err = p.to.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// visible replaces what would move the cursor of a terminal: results and
// messages may be anybody's text.
func visible(cells []string) []string {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				return ' '
			}
			return r
		}, cell)
	}
	return safe
}

func marshalCompact(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return text, nil
}
