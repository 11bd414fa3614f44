package processor

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aiecs/tasklane/schemas"
)

// Bounds of what an attempt adds to its terminal event, which also has to hold a
// result of 1 MiB.
const (
	maxModels     = 32
	maxModelBytes = 100
	maxFiles      = 256
	maxPathBytes  = 1024
	maxMetrics    = 64
)

// totals is what an attempt has recorded for its terminal event, guarded by its
// context's mu.
type totals struct {
	usage   *schemas.Usage
	models  []string
	files   []schemas.File
	metrics map[string]float64
}

// addUsage adds a request to the total. The model was asked whatever becomes of
// the report, so this comes first.
func (c *Context) addUsage(u schemas.Usage) error {
	switch {
	case u.Model == "" || len(u.Model) > maxModelBytes || !utf8.ValidString(u.Model):
		return fmt.Errorf("model must be named, in at most %d bytes", maxModelBytes)
	case u.Negative():
		return errors.New("tokens and cost must not be negative")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.totals
	if !slices.Contains(t.models, u.Model) {
		if len(t.models) == maxModels {
			return fmt.Errorf("more than %d models in an attempt", maxModels)
		}
		t.models = append(t.models, u.Model)
	}
	t.usage = schemas.Total(t.usage, &u)
	return nil
}

// sum adds what is not negative, and stays at the largest number.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// File records that the service read, wrote or deleted a file, or an object
// elsewhere. The terminal event lists them; bytes of the same operation on the
// same path are added up. At most 256 in an attempt, with paths of 1,024 bytes.
func (c *Context) File(f schemas.File) error {
	switch {
	case f.Operation != "read" && f.Operation != "write" && f.Operation != "delete":
		return fmt.Errorf("record file: operation %q is none of read, write, delete", f.Operation)
	case f.Path == "" || len(f.Path) > maxPathBytes || !utf8.ValidString(f.Path),
		strings.ContainsFunc(f.Path, unicode.IsControl):
		return fmt.Errorf("record file: the path must have 1 to %d bytes of text", maxPathBytes)
	case f.Bytes < 0:
		return fmt.Errorf("record file %s: %d bytes", f.Path, f.Bytes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	files := &c.totals.files
	same := func(other schemas.File) bool { return other.Path == f.Path && other.Operation == f.Operation }
	if i := slices.IndexFunc(*files, same); i >= 0 {
		(*files)[i].Bytes = sum((*files)[i].Bytes, f.Bytes)
		return nil
	}
	if len(*files) == maxFiles {
		return fmt.Errorf("record file %s: more than %d files in an attempt", f.Path, maxFiles)
	}
	*files = append(*files, f)
	return nil
}

// Metric records a number of the service's own, which the terminal event shows
// beside queued_ms and run_ms. The last value of a name stays. At most 64 in an
// attempt; names are 1 to 64 of the characters a-z 0-9 _ and start with a
// letter.
func (c *Context) Metric(name string, value float64) error {
	switch {
	case !metricName(name):
		return fmt.Errorf("record metric %q: the name must be 1 to 64 of a-z 0-9 _ and start with a letter", name)
	case name == "queued_ms" || name == "run_ms":
		return fmt.Errorf("record metric %s: the processor measures that itself", name)
	case !finite(value):
		return fmt.Errorf("record metric %s: %v is not a number that JSON has", name, value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.totals
	if _, known := t.metrics[name]; !known && len(t.metrics) == maxMetrics {
		return fmt.Errorf("record metric %s: more than %d in an attempt", name, maxMetrics)
	}
	if t.metrics == nil {
		t.metrics = map[string]float64{}
	}
	t.metrics[name] = value
	return nil
}

func metricName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Totals is what an attempt has recorded for its terminal event.
type Totals struct {
	Usage   *schemas.Usage // nil if no model was asked
	Files   []schemas.File
	Metrics map[string]float64
}

// Totals is what the handler has recorded so far.
func (c *Context) Totals() Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := &c.totals
	t := Totals{Usage: of.usage, Files: slices.Clone(of.files), Metrics: maps.Clone(of.metrics)}
	return t
}

// Fill puts the totals into a terminal event. The processor's own metrics there
// stay as they are.
func (t Totals) Fill(e *schemas.Event) {
	e.Usage, e.Files = t.Usage, t.Files
	if len(t.Metrics) == 0 {
		return
	}
	if e.Metrics == nil {
		e.Metrics = new(schemas.Metrics)
	}
	e.Metrics.Own = t.Metrics
}
