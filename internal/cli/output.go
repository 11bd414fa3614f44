package cli

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

// Form is the value of -o.
type Form string

// The forms.
const (
	FormTable Form = "table"
	FormJSON  Form = "json"
	FormLines Form = "jsonl"
)

// AddTo adds -o, with the table as its default.
func (f *Form) AddTo(flags *pflag.FlagSet) {
	*f = FormTable
	flags.VarP(f, "output", "o", "form of the output: table, json or jsonl (one line a document)")
}

// String is the form's name.
func (f *Form) String() string { return string(*f) }

// Type names the kind of value in the help.
func (f *Form) Type() string { return "form" }

// Set reads the form's name.
func (f *Form) Set(s string) error {
	switch form := Form(s); form {
	case FormTable, FormJSON, FormLines:
		*f = form
		return nil
	}
	return fmt.Errorf("use table, json or jsonl")
}

// Row is what can be printed in every form; as JSON it is itself.
type Row interface {
	// Columns are the heads of the table's columns, Cells this row's cells of them.
	Columns() []string
	Cells() []string
}

// Printer prints rows in one form.
type Printer struct {
	to   io.Writer
	form Form
}

// Printer prints on standard output.
func (con *Console) Printer(form Form) Printer { return Printer{con.Stdout, form} }

// One prints a single row.
func (p Printer) One(r Row) error {
	if p.form != FormTable {
		return p.document(r)
	}
	return p.table(r.Columns(), r.Cells())
}

// All prints rows that are known together.
func (p Printer) All(rows []Row) error {
	if p.form == FormTable && len(rows) > 0 {
		lines := [][]string{rows[0].Columns()}
		for _, r := range rows {
			lines = append(lines, r.Cells())
		}
		return p.table(lines...)
	}
	for _, r := range rows {
		if err := p.Line(r); err != nil {
			return err
		}
	}
	return nil
}

func (p Printer) table(lines ...[]string) error {
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

// Line prints one of many rows as soon as it is there, so that its columns
// cannot be aligned with later ones.
func (p Printer) Line(r Row) error {
	if p.form != FormTable {
		return p.document(r)
	}
	if _, err := fmt.Fprintln(p.to, strings.Join(visible(r.Cells()), "  ")); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (p Printer) document(v any) error {
	// Canonical order keeps the output of two runs comparable.
	options := []json.Options{json.Deterministic(true)}
	if p.form == FormJSON {
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
