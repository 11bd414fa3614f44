package mutation

import (
	"errors"
	"fmt"
	"io/fs"
)

// switchFile declares the switch in the package.
const switchFile = "mutation_switch.go"

// overlay is the files of a package that mutants change, with all mutants in
// them, and the one that holds the switch.
func (s Suite) overlay(dir fs.FS) (map[string]string, error) {
	schemas := map[string]*schema{}
	var bad []error
	for i := range s.Mutants {
		m := &s.Mutants[i]
		done := map[string]bool{}
		for _, e := range m.Edits {
			if done[e[0]] {
				continue
			}
			done[e[0]] = true
			if err := m.addTo(schemas, i+1, dir, e[0]); err != nil {
				bad = append(bad, fmt.Errorf("%s: %w", m.Rule, err))
			}
		}
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	files := map[string]string{}
	for name, one := range schemas {
		files[name] = one.render()
		files[switchFile] = fmt.Sprintf("package %s\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar %s, _ = "+
			"strconv.Atoi(os.Getenv(%q))\n",
			one.pkg, switchName, SwitchEnv)
	}
	return files, nil
}

// addTo takes what a mutant changes in a file into its schema.
func (m *Mutant) addTo(schemas map[string]*schema, n int, dir fs.FS, file string) error {
	text, err := fs.ReadFile(dir, file)
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	if schemas[file] == nil {
		original, err := parse(file, string(text))
		if err != nil {
			return err
		}
		schemas[file] = &schema{source: original, branches: map[string][]string{}}
	}
	changed, err := m.apply(file, string(text))
	if err != nil {
		return err
	}
	mutated, err := parse(file, changed)
	if err != nil {
		return err
	}
	return schemas[file].add(n, mutated)
}
