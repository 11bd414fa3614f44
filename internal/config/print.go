package config

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Print writes the settings as YAML that [Parse] reads again, without the secrets that
// they hold themselves. What is not given is left out.
//
// The YAML library's own writer leaves texts without quotes that its reader takes for
// something else, so each that is no simple word is in quotes here.
func (s *Settings) Print() []byte {
	var out bytes.Buffer
	shown := *s
	shown.Subprocesses = maps.Clone(s.Subprocesses)
	for name, subprocess := range shown.Subprocesses {
		subprocess.Env = withoutValues(subprocess.Env)
		shown.Subprocesses[name] = subprocess
	}
	printMembers(&out, reflect.ValueOf(shown), "")
	return out.Bytes()
}

func printMembers(out *bytes.Buffer, v reflect.Value, indent string) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		field := v.Field(i)
		many := field.Kind() == reflect.Map || field.Kind() == reflect.Slice
		if !field.IsZero() && (!many || field.Len() > 0) {
			printValue(out, name, field, indent)
		}
	}
}

// printValue writes a key and its value.
func printValue(out *bytes.Buffer, key string, v reflect.Value, indent string) {
	out.WriteString(indent + quoted(key) + ":")
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if text, ok := scalarText(v); ok {
		out.WriteString(" " + text + "\n")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.IsZero() {
			out.WriteString(" {}\n")
			return
		}
		out.WriteString("\n")
		printMembers(out, v, indent+"  ")
	case reflect.Map:
		out.WriteString("\n")
		for _, name := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int {
			return strings.Compare(a.String(), b.String())
		}) {
			printValue(out, name.String(), v.MapIndex(name), indent+"  ")
		}
	case reflect.Slice:
		out.WriteString("\n")
		for i := range v.Len() {
			printMember(out, v.Index(i), indent+"  ")
		}
	}
}

// printMember writes a member of a list.
func printMember(out *bytes.Buffer, v reflect.Value, indent string) {
	if text, ok := scalarText(v); ok {
		out.WriteString(indent + "- " + text + "\n")
		return
	}
	var members bytes.Buffer
	printMembers(&members, v, indent+"  ")
	out.WriteString(indent + "- " + strings.TrimLeft(members.String(), " "))
}

// scalarText is a value that is written in one word.
func scalarText(v reflect.Value) (text string, ok bool) {
	switch value := v.Interface().(type) {
	case Secret:
		return quoted(value.String()), true
	case Money, Bytes, time.Duration, int, int64, bool:
		return fmt.Sprint(value), true
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64), true
	case string:
		return quoted(value), true
	}
	return "", false
}

// simple texts are read as they stand, but for a few words that have a meaning.
var simple = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*$`)

func quoted(text string) string {
	word := strings.ToLower(text)
	if simple.MatchString(text) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off"}, word) {
		return text
	}
	return strconv.Quote(text)
}
