package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// archive keeps files and takes tasks, as an API does.
type archive struct {
	files  map[string][]byte // by user/hash
	tasks  []map[string]any
	ranges []string
	cut    int // 1: the next download ends half-way, and whatever comes after that is refused
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, hash := r.URL.Query().Get("user_id"), r.PathValue("hash")
	content, found := a.files[user+"/"+hash]
	switch {
	case r.URL.Path == "/v1/tasks":
		var task map[string]any
		_ = json.UnmarshalRead(r.Body, &task)
		a.tasks = append(a.tasks, task)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"task_id":"t1","user_id":"alice","lane":"fast","status":"pending","cursor":"c"}`)
	case r.Method == http.MethodPost:
		content, _ := io.ReadAll(r.Body)
		a.files[user+"/"+hashText(string(content))] = content
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"artifact":%q,"size":%d,"name":%q,"type":%q}`, hashText(string(content)), len(content),
			r.URL.Query().Get("name"), r.Header.Get("Content-Type"))
	case !found:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"title":"Not Found","detail":"there is no such artifact, or it has expired"}`)
	case r.Method == http.MethodDelete:
		delete(a.files, user+"/"+hash)
		w.WriteHeader(http.StatusNoContent)
	case a.cut == 1:
		a.cut = 2
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case a.cut == 2:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		a.ranges = append(a.ranges, r.Header.Get("Range"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (a *archive) start(t *testing.T) *terminal {
	t.Helper()
	a.files = map[string][]byte{}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/tasks", a)
	mux.Handle("POST /v1/artifacts", a)
	mux.Handle("/v1/artifacts/{hash}", a)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &terminal{server: server.URL, user: "alice"}
}

func fileWith(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestArtifactsOnTheCommandLine(t *testing.T) {
	a := new(archive)
	user := a.start(t)
	path := fileWith(t, "letter.html", "<p>hello</p>")
	put := user.run(t.Context(), t, "artifact", "put", path, "-o", "jsonl").lines(t)
	want := map[string]any{"artifact": hashText("<p>hello</p>"), "name": "letter.html", "type": "text/html; charset=utf-8",
		"size": float64(12)}
	if diff := cmp.Diff([]map[string]any{want}, put); diff != "" {
		t.Error(diff)
	}
	user.stdin = "from a pipe"
	piped := user.do(t, "artifact put - --name x.bin --type text/plain -o jsonl").lines(t)
	if piped[0]["artifact"] != hashText("from a pipe") || piped[0]["name"] != "x.bin" || piped[0]["type"] != "text/plain" {
		t.Errorf("%v", piped)
	}
	hash := hashText("<p>hello</p>")
	if got := user.do(t, "artifact get "+hash); got.err != nil || got.stdout != "<p>hello</p>" {
		t.Errorf("%+v", got)
	}
	out := filepath.Join(t.TempDir(), "got.html")
	user.run(t.Context(), t, "artifact", "get", hash, "--out", out).prints(t, hash)
	if content, err := os.ReadFile(out); err != nil || string(content) != "<p>hello</p>" {
		t.Errorf("%q, %v", content, err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	other := *user
	other.user = "bob"
	other.do(t, "artifact get "+hash).fails(t, "no such artifact")
	other.run(t.Context(), t, "artifact", "get", hash, "--out", out+"2").fails(t, "no such artifact")
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	if got := user.do(t, "artifact rm "+hash); got.err != nil || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	user.do(t, "artifact rm "+hash).fails(t, "no such artifact")
}

// TestAnInterruptedDownloadGoesOn where the last command left it, and what is no beginning of the file is thrown away.
func TestAnInterruptedDownloadGoesOn(t *testing.T) {
	a := new(archive)
	user := a.start(t)
	content := strings.Repeat("0123456789", 1000)
	hash := hashText(content)
	a.files["alice/"+hash] = []byte(content)
	a.cut = 1
	out := filepath.Join(t.TempDir(), "numbers")
	get := []string{"artifact", "get", hash, "--out", out}
	user.run(t.Context(), t, get...).fails(t, "the same command goes on from there")
	if _, err := os.Stat(out); err == nil {
		t.Error("the file appears before it is whole")
	}
	a.cut = 0
	user.run(t.Context(), t, get...).prints(t, hash)
	if got, err := os.ReadFile(out); err != nil || string(got) != content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if len(a.ranges) != 1 || !strings.HasPrefix(a.ranges[0], "bytes=") || a.ranges[0] == "bytes=0-" {
		t.Errorf("asked for %q", a.ranges)
	}
	part := out + "." + hash[:12] + ".part"
	if err := os.WriteFile(part, []byte("no beginning of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	user.run(t.Context(), t, get...).fails(t, "gets all of it again")
	user.run(t.Context(), t, get...).prints(t, hash)
}

func TestSubmitWithFiles(t *testing.T) {
	a := new(archive)
	user := a.start(t)
	first, second := fileWith(t, "a.txt", "one"), fileWith(t, "b", "two")
	user.run(t.Context(), t, submitLine("x", "--input", `{"question":"which?"}`, "--file", "first="+first,
		"--file", `the "second"=`+second)...).prints(t, "t1")
	want := map[string]any{
		"question": "which?",
		"first": map[string]any{"artifact": hashText("one"), "name": "a.txt", "type": "text/plain; charset=utf-8",
			"size": 3.0},
		`the "second"`: map[string]any{"artifact": hashText("two"), "name": "b", "size": 3.0},
	}
	if diff := cmp.Diff(want, a.tasks[0]["input_data"]); diff != "" {
		t.Error(diff)
	}
	if string(a.files["alice/"+hashText("one")]) != "one" {
		t.Errorf("stored: %v", a.files)
	}
	for _, tt := range []struct{ file, says string }{
		{"x", "want NAME=PATH"}, {"=" + first, "want NAME=PATH"}, {"x=", "want NAME=PATH"},
		{"x=" + first + "nosuch", "no such file"}, {"x=" + filepath.Dir(first), "is a directory"},
		{"question=" + first, "has a member question already"},
	} {
		got := user.run(t.Context(), t, submitLine("x", "--input", `{"question":1}`, "--file", tt.file)...)
		if got.fails(t, tt.says); !isUsage(got.err) {
			t.Errorf("%s: no mistake on the command line", tt.file)
		}
	}
	user.run(t.Context(), t, submitLine("x", "--file", "a="+first, "--file", "a="+second)...).fails(t, "member a already")
	if len(a.tasks) != 1 || len(a.files) != 2 {
		t.Errorf("%d tasks and %d files after mistakes", len(a.tasks), len(a.files))
	}
}

func TestArtifactMistakes(t *testing.T) {
	user := new(archive).start(t)
	dir, path := t.TempDir(), fileWith(t, "a", "x")
	for line, says := range map[string]string{
		"artifact get": "the artifact's hash", "artifact rm a b": "the artifact's hash", "artifact put": "one file or more",
		"artifact put a b --name c": "for a single one", "artifact put " + dir: "is a directory",
		"artifact put " + dir + "/nosuch": "no such file", "artifact get x": "64 digits",
		"artifact gett":     `did you mean "get"?`,
		"artifact delete x": `did you mean "rm"?`, "artifact get " + hashText("") + " --out " + dir: "is a directory",
	} {
		user.do(t, line).fails(t, says)
	}
	user.user = ""
	user.do(t, "artifact put "+path).fails(t, "--user")
}

// TestMembersAreAdded to any object, and the rest of it stays as it is.
func TestMembersAreAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "members")
		name := rapid.String().Filter(func(s string) bool { _, taken := members[s]; return !taken }).Draw(t, "name")
		var object jsontext.Value
		if len(members) > 0 || rapid.Bool().Draw(t, "an empty object") {
			object, _ = json.Marshal(members)
		}
		got, err := withMember(object, name, 7)
		if err != nil {
			t.Fatal(err)
		}
		var read map[string]int
		if err := json.Unmarshal(got, &read); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if members == nil {
			members = map[string]int{}
		}
		members[name] = 7
		if diff := cmp.Diff(members, read); diff != "" {
			t.Fatal(diff)
		}
	})
}
