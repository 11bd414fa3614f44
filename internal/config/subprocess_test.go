package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

// TestParseSubprocess: options are read as in the file; what is wrong is said with what is wanted.
func TestParseSubprocess(t *testing.T) {
	name, got, err := config.ParseSubprocess("media/ocr=python3 -c 'a b' x=1;children=2;max_tasks=1000;" +
		"max_memory=512MiB;init_timeout=5m;stop_timeout=1s;env=A,B=x;")
	want := config.Subprocess{
		Command: "python3 -c 'a b' x=1", Children: 2, MaxTasks: 1000, MaxMemory: 512 << 20, InitTimeout: 5 * time.Minute,
		StopTimeout: time.Second, Env: []string{"A", "B=x"},
	}
	if diff := cmp.Diff(want, got); err != nil || name != "media/ocr" || diff != "" {
		t.Errorf("%s, %v: %s", name, err, diff)
	}
	for text, want := range map[string]string{
		"media/ocr":                     "there is no =",
		"ocr=python3":                   "must be mode/name",
		"a/b=":                          "must be given",
		"a/b=x 'y":                      "end the quotes",
		"a/b=x;childs=2":                "did you mean children?",
		"a/b=x;lane=heavy":              "there are children, env",
		"a/b=x;children=two":            "whole number",
		"a/b=x;children=257":            "at most 256",
		"a/b=x;children=2x":             "whole number",
		"a/b=x;max_memory=lots":         "must be a size",
		"a/b=x;init_timeout=5":          "duration",
		"a/b=x;env=1A":                  "name of a variable",
		"a/b=x;gpus=0,1;children=3":     "beside gpus",
		"a/b=x;gpus=,":                  "UUID of a GPU",
		"a/b=x;max_tasks=-1":            "whole number",
		"a/b=x;stop_timeout=-1s":        "must not be negative",
		"a/b=x\x00y":                    "byte 0",
		strings.Repeat("a", 200) + "=x": "must be mode/name",
	} {
		if _, _, err := config.ParseSubprocess(text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "MODE/NAME=COMMAND") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestVariablesAreNotPrinted: their values may be secrets, and what is printed instead is not taken for one.
func TestVariablesAreNotPrinted(t *testing.T) {
	got, err := config.Parse("f", []byte("subprocesses: {a/b: {command: x, env: [A, 'B=canary=1', C=]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	printed := string(got.Print())
	for _, want := range []string{"- A\n", `"B=<hidden>"`, `"C=<hidden>"`} {
		if !strings.Contains(printed, want) || strings.Contains(printed, "canary") {
			t.Errorf("printed without %s:\n%s", want, printed)
		}
	}
	if env := got.Subprocesses["a/b"].Env; !slices.Equal(env, []string{"A", "B=canary=1", "C="}) {
		t.Errorf("after it was printed the settings have %q", env)
	}
	if _, err := config.Parse("f", []byte(printed)); err == nil || !strings.Contains(err.Error(), "write the value") {
		t.Errorf("what was printed is read: %v", err)
	}
}

// TestSubprocessesInTheFile: a key that is not known is refused with the nearest.
func TestSubprocessesInTheFile(t *testing.T) {
	got, err := config.Parse("f", []byte("subprocesses: {a/b: {command: 'x; y', gpus: ['0', '1'], max_memory: 1GiB}}\n"))
	if err != nil || got.Subprocesses["a/b"].Command != "x; y" || len(got.Subprocesses["a/b"].GPUs) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = config.Parse("f", []byte("subprocesses: {a/b: {comand: x}}\n"))
	if err == nil || !strings.Contains(err.Error(), "did you mean command?") {
		t.Errorf("a misspelt key: %v", err)
	}
}

// FuzzSplitCommand: words that are quoted come back.
func FuzzSplitCommand(f *testing.F) {
	f.Add("python3", "-c", `it's "x"`)
	f.Add("a", "", `\`)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		_, _ = config.SplitCommand(a + b + c) // takes anything
		words := []string{"p" + a, b, c}
		var text []string
		for _, w := range words {
			w = strings.ToValidUTF8(strings.ReplaceAll(w, "\x00", ""), "")
			text = append(text, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		got, err := config.SplitCommand(strings.Join(text, " "))
		for i, w := range words {
			words[i] = strings.ToValidUTF8(strings.ReplaceAll(w, "\x00", ""), "")
		}
		if err != nil || !slices.Equal(got, words) {
			t.Errorf("%q is split into %q, %v", words, got, err)
		}
	})
}
