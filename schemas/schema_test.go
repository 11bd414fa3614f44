package schemas

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestBadFilesAgainstTheSchema holds task.schema.json to the collection of bad
// records, where they are JSON that a schema can judge.
func TestBadFilesAgainstTheSchema(t *testing.T) {
	schema := compile(t, TaskSchema())
	var index []struct {
		Name, File, Field string
		Valid             bool
	}
	readJSON(t, "testdata/bad/index.json", &index)
	judged := 0
	for _, c := range index {
		value, err := os.ReadFile(filepath.Join("testdata/bad", c.File))
		if err != nil {
			t.Fatal(err)
		}
		_, taskErr := DecodeTask(value)
		if (taskErr == nil) != c.Valid {
			t.Errorf("%s: DecodeTask says %v, the index valid=%v", c.Name, taskErr, c.Valid)
		}
		if explained := (*InvalidTaskError)(nil); errors.As(taskErr, &explained) && !schemaCanTell(value, explained) {
			continue
		}
		judged++
		if err := schema.Validate(parse(t, value)); (err == nil) != c.Valid {
			t.Errorf("%s: the schema says %v, want valid=%v", c.Name, err, c.Valid)
		}
	}
	if judged < 150 {
		t.Errorf("only %d cases were judged by the schema", judged)
	}
}

// schemaCanTell is false for what is wrong before or beyond a schema.
func schemaCanTell(value []byte, e *InvalidTaskError) bool {
	return json.Valid(value) && explainsMember(value) && e.Problem != softAboveHard
}

// explainsMember is false if the JSON itself is refused: by encoding/json's
// kinder rules a member may be given twice and text need not be UTF-8.
func explainsMember(value []byte) bool {
	var strict map[string]any
	return unmarshalStrict(value, &strict) == nil || value[0] != '{'
}

func TestBoundsAreTheSchemas(t *testing.T) {
	var schema struct {
		Properties map[string]map[string]any `json:"properties"`
		Defs       map[string]map[string]any `json:"$defs"`
	}
	readJSON(t, "task.schema.json", &schema)
	p := schema.Properties
	retry := p["retry"]["properties"].(map[string]any)
	unique := p["unique"]["properties"].(map[string]any)
	of := func(m any, key string) any { return m.(map[string]any)[key] }
	for _, bound := range []struct {
		name      string
		got, want any
	}{
		{"task_id", schema.Defs["task_id"]["maxLength"], MaxIDChars},
		{"user_id", p["user_id"]["maxLength"], MaxIDChars},
		{"task_name", p["task_name"]["maxLength"], maxNameChars},
		{"mode", p["mode"]["maxLength"], maxNameChars},
		{"service", p["service"]["maxLength"], maxNameChars},
		{"version", p["version"]["maxLength"], maxNameChars},
		{"batch_id", p["batch_id"]["maxLength"], MaxIDChars},
		{"retry_of", p["retry_of"]["maxLength"], MaxIDChars},
		{"step low", p["step"]["minimum"], -maxStep - 1},
		{"step", p["step"]["maximum"], maxStep},
		{"priority low", p["priority"]["minimum"], 0},
		{"priority", p["priority"]["maximum"], 10},
		{"soft_time_limit_ms", p["soft_time_limit_ms"]["maximum"], maxLimitMS},
		{"time_limit_ms", p["time_limit_ms"]["maximum"], maxLimitMS},
		{"labels", p["labels"]["maxProperties"], maxLabels},
		{"label names", of(p["labels"]["propertyNames"], "maxLength"), maxNameChars},
		{"label values", of(p["labels"]["additionalProperties"], "maxLength"), maxNameChars},
		{"depends_on", p["depends_on"]["maxItems"], maxParents},
		{"max_attempts", of(retry["max_attempts"], "maximum"), maxAttemptBound},
		{"backoff_ms", of(retry["backoff_ms"], "maximum"), maxBackoffMS},
		{"max_backoff_ms", of(retry["max_backoff_ms"], "maximum"), maxBackoffMS},
		{"multiplier", of(retry["multiplier"], "maximum"), maxMultiplier},
		{"ttl_ms", of(unique["ttl_ms"], "maximum"), maxTTLMS},
		{"key", of(unique["key"], "maxLength"), maxNameChars},
		{"default step", p["step"]["default"], DefaultStep},
		{"default priority", p["priority"]["default"], DefaultPriority},
		{"default soft limit", p["soft_time_limit_ms"]["default"], int(DefaultSoftTimeLimit.Milliseconds())},
		{"default limit", p["time_limit_ms"]["default"], int(DefaultTimeLimit.Milliseconds())},
		{"default attempts", of(retry["max_attempts"], "default"), DefaultMaxAttempts},
	} {
		if bound.got != float64(bound.want.(int)) {
			t.Errorf("%s: the schema has %v, the code %v", bound.name, bound.got, bound.want)
		}
	}
	url := p["callback_url"]["anyOf"].([]any)[1]
	if of(url, "pattern") != callbackPattern.String() || of(url, "maxLength") != float64(maxURLChars) {
		t.Errorf("callback_url: the schema has %v, the code %s", url, callbackPattern)
	}
}

// TestEnumsAreTheConstants compares the schemas with every exported constant of
// the package, found in its source, both ways.
func TestEnumsAreTheConstants(t *testing.T) {
	var event, control struct {
		Defs map[string]struct {
			Enum       []string                           `json:"enum"`
			Properties map[string]struct{ Enum []string } `json:"properties"`
		} `json:"$defs"`
		Properties map[string]struct{ Enum []string } `json:"properties"`
	}
	readJSON(t, "event.schema.json", &event)
	readJSON(t, "control.schema.json", &control)
	constants := constantsByType(t)
	if !slices.Contains(constants["Status"], string(Lost)) || Lost.Known() || Lost.Terminal() ||
		slices.Contains(Statuses(), Lost) {
		t.Error("lost is a state of the view, and never on the wire")
	}
	for typ, enum := range map[string][]string{
		"Status": append(event.Defs["status"].Enum, string(Lost)), "Kind": event.Defs["kind"].Enum,
		"ErrorCode":   event.Defs["error_code"].Enum,
		"ControlKind": control.Properties["kind"].Enum, "TargetType": control.Defs["target"].Properties["type"].Enum,
	} {
		want := constants[typ]
		slices.Sort(want)
		slices.Sort(enum)
		if len(want) == 0 || !slices.Equal(want, enum) {
			t.Errorf("%s: the schema has %q, the code %q", typ, enum, want)
		}
	}
}

func constantsByType(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		// Untyped constants of status.go take their type from the first line.
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type == nil || len(spec.Values) != 1 || !spec.Names[0].IsExported() {
				return true
			}
			typ, ok := spec.Type.(*ast.Ident)
			literal, isLiteral := spec.Values[0].(*ast.BasicLit)
			if ok && isLiteral {
				value, _ := strconv.Unquote(literal.Value)
				found[typ.Name] = append(found[typ.Name], value)
			}
			return true
		})
	}
	return found
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}
