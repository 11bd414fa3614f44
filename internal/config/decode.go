package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/aiecs/tasklane/internal/nearest"
)

// MaxFileBytes bounds a configuration file.
const MaxFileBytes = 1 << 20

// scalar is a type of settings that reads its own text; the problem says what to write
// instead, "" if nothing is wrong.
type scalar interface {
	parse(text string) (problem string)
}

// place is where in the file something stands.
type place struct{ line, column int }

// decoder fills settings from YAML and takes down what is wrong. It is for one file.
type decoder struct {
	file     string
	places   map[string]place // of the settings that are given, by their keys
	problems []Problem
}

// Parse reads a file's content. The error is an *[Error] with all that is wrong; file is
// how it names the file.
func Parse(file string, content []byte) (*Settings, error) {
	d := &decoder{file: file, places: map[string]place{}}
	settings := d.settings(content)
	if len(d.problems) == 0 {
		settings.check(d.at)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return settings, nil
}

func (d *decoder) settings(content []byte) *Settings {
	settings := new(Settings)
	if body := d.body(content); body != nil {
		d.value(body, reflect.ValueOf(settings).Elem(), "")
	}
	return settings
}

// err is all that is wrong, nil if nothing is.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return &Error{sorted(d.problems)}
}

// body is the one document of a file, nil if there is none or it cannot be read.
func (d *decoder) body(content []byte) (body ast.Node) {
	defer func() {
		// The library is for files that people mean well with.
		if r := recover(); r != nil {
			d.problem(nil, "", "cannot be read as YAML")
			body = nil
		}
	}()
	if problem := unreadable(content); problem != "" {
		d.problem(nil, "", problem)
		return nil
	}
	parsed, err := parser.ParseBytes(content, 0)
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax):
		d.problem(syntax.GetToken(), "", "is no YAML: "+syntax.GetMessage())
		return nil
	case err != nil:
		d.problem(nil, "", "is no YAML: "+err.Error())
		return nil
	}
	for _, document := range parsed.Docs {
		switch {
		case document.Body == nil:
		case body != nil:
			d.problem(document.Body.GetToken(), "", "a second document begins; put all settings into one")
			return nil
		default:
			body = document.Body
		}
	}
	return body
}

// maxNesting is deeper than any settings are.
const maxNesting = 100

// unreadable is why a content is not even tried.
func unreadable(content []byte) string {
	if len(content) > MaxFileBytes {
		return fmt.Sprintf("is longer than %d bytes: it is no configuration file", MaxFileBytes)
	}
	depth := 0
	for _, b := range content {
		switch b {
		case 0:
			return "has a byte 0 and is no text"
		case '[', '{', '?':
			depth++
		case ']', '}', '\n':
			depth = max(0, depth-1)
		}
		if depth > maxNesting {
			return "is nested too deeply to be settings"
		}
	}
	return ""
}

// problem takes down what is wrong, at a token or, without one, with the file.
func (d *decoder) problem(at *token.Token, key, text string) {
	p := Problem{File: d.file, Key: key, Text: text}
	if at != nil && at.Position != nil {
		p.Line, p.Column = at.Position.Line, at.Position.Column
	}
	d.problems = append(d.problems, p)
}

// at takes down what is wrong with a setting, or with the nearest above it that is given.
func (d *decoder) at(key, text string) {
	where, given := d.places[key]
	for above := key; !given && above != ""; where, given = d.places[above] {
		above = above[:max(0, strings.LastIndexAny(above, ".["))]
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: where.line, Column: where.column, Key: key, Text: text})
}

// value fills v, which stands at a key, from a node.
func (d *decoder) value(node ast.Node, v reflect.Value, key string) {
	at := node.GetToken()
	if at != nil && at.Position != nil {
		if _, known := d.places[key]; !known {
			d.places[key] = place{at.Position.Line, at.Position.Column}
		}
	}
	switch node.(type) {
	case *ast.NullNode:
		return // as if it were not there
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.DirectiveNode, *ast.MergeKeyNode:
		d.problem(at, key, "anchors, aliases and tags are not read; write the value out")
		return
	}
	if target, ok := v.Addr().Interface().(scalar); ok {
		if text, ok := d.text(node, v.Interface(), key); ok {
			d.refuse(at, key, target.parse(text))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(node, v.Elem(), key)
	case reflect.Struct:
		d.members(node, v, key)
	case reflect.Map:
		d.entries(node, v, key)
	case reflect.Slice:
		d.list(node, v, key)
	default:
		d.plain(node, v, key)
	}
}

func (d *decoder) refuse(at *token.Token, key, problem string) {
	if problem != "" {
		d.problem(at, key, problem)
	}
}

// members fills a struct, whose keys are known.
func (d *decoder) members(node ast.Node, v reflect.Value, key string) {
	fields := fieldsOf(v.Type())
	for name, pair := range d.pairs(node, key) {
		field, known := fields[name]
		if !known {
			d.problem(pair.Key.GetToken(), below(key, name), unknownKey(fields, name))
			continue
		}
		d.note(pair.Key, below(key, name))
		d.value(pair.Value, v.Field(field), below(key, name))
	}
}

func unknownKey(fields map[string]int, name string) string {
	known := slices.Sorted(maps.Keys(fields))
	if meant, near := nearest.Name(name, known...); near {
		return fmt.Sprintf("the key is not known; did you mean %s?", meant)
	}
	return "the key is not known; there are " + strings.Join(known, ", ")
}

// entries fills a map, whose keys are the operator's own names.
func (d *decoder) entries(node ast.Node, v reflect.Value, key string) {
	filled := reflect.MakeMap(v.Type())
	for name, pair := range d.pairs(node, key) {
		d.note(pair.Key, below(key, name))
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(pair.Value, entry, below(key, name))
		filled.SetMapIndex(reflect.ValueOf(name), entry)
	}
	if filled.Len() > 0 {
		v.Set(filled)
	}
}

// note takes down where a key is given.
func (d *decoder) note(node ast.Node, key string) {
	if at := node.GetToken(); at != nil && at.Position != nil {
		d.places[key] = place{at.Position.Line, at.Position.Column}
	}
}

// pairs are a mapping's keys and values, each key once.
func (d *decoder) pairs(node ast.Node, key string) func(yield func(string, *ast.MappingValueNode) bool) {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.problem(node.GetToken(), key, "must be a mapping of keys to values, not "+kindOf(node))
	}
	return func(yield func(string, *ast.MappingValueNode) bool) {
		seen := map[string]bool{}
		for _, pair := range values {
			name, ok := nameOf(pair.Key)
			switch {
			case !ok:
				d.problem(pair.Key.GetToken(), key, "a key must be a name; anchors, aliases and merges are not read")
			case seen[name]:
				d.problem(pair.Key.GetToken(), below(key, name), "is given twice")
			case !yield(name, pair):
				return
			}
			seen[name] = true
		}
	}
}

func nameOf(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, k.Value != ""
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return k.GetToken().Value, true
	}
	return "", false
}

func below(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func (d *decoder) list(node ast.Node, v reflect.Value, key string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.problem(node.GetToken(), key, "must be a list, not "+kindOf(node))
		return
	}
	for i, member := range sequence.Values {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(member, entry, key+"["+strconv.Itoa(i)+"]")
		v.Set(reflect.Append(v, entry))
	}
}

// plain fills a string, number, truth value or duration.
func (d *decoder) plain(node ast.Node, v reflect.Value, key string) {
	text, ok := d.text(node, v.Interface(), key)
	if !ok {
		return
	}
	problem := ""
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case bool:
		v.SetBool(text == "true")
	case time.Duration:
		var duration time.Duration
		duration, problem = parseDuration(text)
		v.SetInt(int64(duration))
	case int, int64:
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, v.Type().Bits())
		if err != nil || n < 0 {
			problem = "must be a whole number of 0 or more"
		}
		v.SetInt(n)
	case float64:
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			problem = "must be a number"
		}
		v.SetFloat(number)
	}
	d.refuse(node.GetToken(), key, problem)
}

// text is a scalar as it is written, if it is one of the form that a value of a type has.
func (d *decoder) text(node ast.Node, like any, key string) (string, bool) {
	wanted, number := "a text", false
	switch like.(type) {
	case bool:
		if truth, ok := node.(*ast.BoolNode); ok {
			return strconv.FormatBool(truth.Value), true
		}
		d.problem(node.GetToken(), key, "must be true or false, not "+kindOf(node))
		return "", false
	case int, int64, float64, Money, Bytes, time.Duration:
		wanted, number = "a number", true
	}
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		if number {
			return n.GetToken().Value, true
		}
		d.problem(node.GetToken(), key, "must be a text; put the number in quotes")
		return "", false
	}
	instead := ""
	if kind := kindOf(node); kind == "a mapping" && wanted == "a text" {
		instead = "; put a text with a colon in quotes"
	}
	d.problem(node.GetToken(), key, "must be "+wanted+", not "+kindOf(node)+instead)
	return "", false
}

func kindOf(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "a truth value"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "a text"
}

// fieldsOf are the fields of a struct by their keys.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		fields[name] = i
	}
	return fields
}
