package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/schemas"
)

func storeIn(t testing.TB, dir string, change func(*artifact.Config)) func(*producer.Config) {
	t.Helper()
	c := artifact.Config{Dir: dir}
	if change != nil {
		change(&c)
	}
	store, _, err := artifact.New(c)
	must(t, err)
	return func(p *producer.Config) { p.Artifacts = store }
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// filesIn are the contents that a store has on disk.
func filesIn(t testing.TB, dir string) (contents []string) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		contents = append(contents, string(content))
		return err
	}))
	return contents
}

func TestArtifactsAreStoredAndRead(t *testing.T) {
	w := newWorld(t)
	const content = "%PDF-1.7 something"
	w.DoRaw("POST", "/v1/artifacts?user_id=ada&name=other", content, "Content-Type", "application/pdf").Expect(t, 201,
		`"type":"application/pdf"`, `"name":"other"`)
	put := w.DoRaw("POST", "/v1/artifacts?user_id=ada&name=r%C3%A9sum%C3%A9.pdf", content).Expect(t, 201)
	hash := put.Text("hash")
	if hash != hashOf(content) || put.Text("artifact") != hash || put.Text("name") != "résumé.pdf" ||
		put.Body["size"] != float64(len(content)) || put.Header.Get("Location") != "artifacts/"+hash {
		t.Fatalf("stored: %s", put.Raw)
	}
	until, err := time.Parse(time.RFC3339, put.Text("expires_at"))
	if err != nil || time.Until(until) < 6*24*time.Hour || time.Until(until) > 8*24*time.Hour {
		t.Errorf("expires at %v, %v", until, err)
	}
	path := "/v1/artifacts/" + hash + "?user_id=ada"
	got := w.Get(path).Expect(t, 200)
	if string(got.Raw) != content {
		t.Errorf("read %q", got.Raw)
	}
	for name, want := range map[string]string{
		"Content-Disposition": `attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf`, "ETag": `"` + hash + `"`,
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Content-Length": "18",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	head := w.Do("HEAD", path, "").Expect(t, 200)
	if head.Header.Get("Content-Length") != "18" || len(head.Raw) != 0 {
		t.Errorf("head: %v", head.Header)
	}
	if part := w.Do("GET", path, "", "Range", "bytes=5-7").Expect(t, 206); string(part.Raw) != "1.7" {
		t.Errorf("a part: %q", part.Raw)
	}
	if part := w.Do("GET", path, "", "Range", "bytes=-9").Expect(t, 206); string(part.Raw) != "something" {
		t.Errorf("the end: %q", part.Raw)
	}
	w.Do("GET", path, "", "Range", "bytes=18-").Expect(t, 416)
	w.Do("GET", path, "", "If-None-Match", `"`+hash+`"`).Expect(t, 304)
	w.Do("GET", path, "", "Range", "bytes=0-1", "If-Range", `"another"`).Expect(t, 200)
	w.Do("DELETE", path, "").Expect(t, 204)
	w.Do("DELETE", path, "").Expect(t, 404)
	w.Get(path).Expect(t, 404)
	w.Get("/metrics").Expect(t, 200, "tasklane_artifacts_uploads_total 2", "tasklane_artifacts_deleted_total 1")
}

// TestArtifactsAreTheirUsers: who has a file can read it, and whoever has not is told what is told of a
// file that nobody has. What two users have is stored once, and is each one's own.
func TestArtifactsAreTheirUsers(t *testing.T) {
	dir := t.TempDir()
	g := newGuardedWith(t, storeIn(t, dir, nil))
	const content = "one and the same"
	hash := hashOf(content)
	path := "/v1/artifacts/" + hash
	none := g.Do("GET", "/v1/artifacts/"+hashOf("nothing"), "", g.as("bob")...).Expect(t, 404)
	g.DoRaw("POST", "/v1/artifacts?name=adas.txt", content, g.as("ada")...).Expect(t, 201, `"user_id":"ada"`)
	refused := g.Do("GET", path, "", g.as("bob")...).Expect(t, 404)
	if a, b := strings.ReplaceAll(string(refused.Raw), hash, ""), strings.ReplaceAll(string(none.Raw), hashOf("nothing"),
		""); a != b {
		t.Errorf("of ada's file bob is told\n%s\nand of none\n%s", a, b)
	}
	g.Do("GET", path+"?user_id=ada", "", g.as("bob")...).Expect(t, 403)
	g.Do("DELETE", path, "", g.as("bob")...).Expect(t, 404)
	g.Do("DELETE", path+"?user_id=ada", "", g.as("bob")...).Expect(t, 403)
	g.DoRaw("POST", "/v1/artifacts?user_id=ada", content, g.as("bob")...).Expect(t, 403)
	g.DoRaw("POST", "/v1/artifacts?name=bobs.txt", content, g.as("bob")...).Expect(t, 201, `"user_id":"bob"`)
	if stored := filesIn(t, dir); len(stored) != 1 || stored[0] != content {
		t.Errorf("stored: %q", stored)
	}
	for user, name := range map[string]string{"ada": "adas.txt", "bob": "bobs.txt"} {
		got := g.Do("GET", path, "", g.as(user)...).Expect(t, 200)
		if d := got.Header.Get("Content-Disposition"); !strings.Contains(d, name) {
			t.Errorf("%s's is %s", user, d)
		}
		g.Do("GET", path+"?user_id="+user, "", g.admin()...).Expect(t, 200)
	}
	g.Do("DELETE", path, "", g.as("ada")...).Expect(t, 204)
	g.Do("GET", path, "", g.as("ada")...).Expect(t, 404)
	g.Do("GET", path, "", g.as("bob")...).Expect(t, 200)
	g.Do("GET", path, "", g.admin()...).Expect(t, 200)
	// An admin's own are no more everybody's than others' are.
	g.DoRaw("POST", "/v1/artifacts", "root's", g.admin()...).Expect(t, 201, `"user_id":"root"`)
	g.Do("GET", "/v1/artifacts/"+hashOf("root's"), "", g.as("bob")...).Expect(t, 404)
	g.DoRaw("POST", "/v1/artifacts?user_id=ada", "for ada", g.admin()...).Expect(t, 201, `"user_id":"ada"`)
	g.Do("GET", "/v1/artifacts/"+hashOf("for ada"), "", g.as("ada")...).Expect(t, 200)
}

// TestNamingAnArtifactGivesNoRight: a task that names somebody's file, and an event in which that comes
// back, open it to nobody.
func TestNamingAnArtifactGivesNoRight(t *testing.T) {
	g := newGuarded(t)
	hash := hashOf("ada's")
	g.DoRaw("POST", "/v1/artifacts", "ada's", g.as("ada")...).Expect(t, 201)
	named := `{"artifact":"` + hash + `"}`
	body := strings.Replace(task(`"task_id":"thief","input_data":`+named), `"ada"`, `"bob"`, 1)
	g.Post(body, g.as("bob")...).Expect(t, 202)
	g.end("thief", "bob", named)
	g.Do("GET", "/v1/artifacts/"+hash, "", g.as("bob")...).Expect(t, 404)
}

func TestBadUploadsAreRefused(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, storeIn(t, dir, func(c *artifact.Config) {
		c.MaxFileBytes, c.MaxUserBytes, c.MaxBytes = 1000, 1500, 2500
	}))
	for name, tt := range map[string]struct {
		query, body string
		headers     []string
		status      int
		says        string
	}{
		"a path":            {"?name=../../etc/passwd", "x", nil, 422, "without a directory"},
		"a Windows path":    {`?name=..%5C..%5Cx`, "x", nil, 422, "without a directory"},
		"dots":              {"?name=..", "x", nil, 422, "without a directory"},
		"a control":         {"?name=a%0D%0ASet-Cookie:x", "x", nil, 422, "control characters"},
		"a NUL":             {"?name=a%00b", "x", nil, 422, "control characters"},
		"a change of order": {"?name=a%E2%80%AEfdp.exe", "x", nil, 422, "control characters"},
		"a long name":       {"?name=" + strings.Repeat("a", 10<<10), "x", nil, 422, "10240 bytes"},
		"a header's path": {"", "x", []string{"Content-Disposition", `attachment; filename="../x"`}, 422,
			"without a directory"},
		"no disposition": {"", "x", []string{"Content-Disposition", `;;;`}, 422, "Content-Disposition must be"},
		"a form":         {"", "x", []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, "not a form"},
		"a bad type":     {"", "x", []string{"Content-Type", "pdf"}, 422, "no media type"},
		"another user":   {"?user_id=%20%01", "x", nil, 422, "user_id"},
		"a parameter":    {"?nam=a", "x", nil, 422, `Did you mean \"name\"?`},
		"no gzip":        {"", "x", []string{"Content-Encoding", "gzip"}, 400, "gzip"},
		"an encoding":    {"", "x", []string{"Content-Encoding", "br"}, 415, "Content-Encoding"},
		"too large":      {"", strings.Repeat("x", 1001), nil, 413, "1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w.DoRaw("POST", "/v1/artifacts"+tt.query, tt.body, tt.headers...).Expect(t, tt.status, tt.says)
		})
	}
	for _, path := range []string{"x", hashOf("x")[1:], strings.ToUpper(hashOf("x")), "..%2F..%2Fgrants", "%00"} {
		w.Get("/v1/artifacts/"+path).Expect(t, 404)
	}
	file := func(seed string) string { return strings.Repeat(seed, 900) }
	w.DoRaw("POST", "/v1/artifacts?user_id=ada", file("a")).Expect(t, 201)
	full := w.DoRaw("POST", "/v1/artifacts?user_id=ada", file("b")).Expect(t, 429, "900 bytes of the 1500")
	if after := full.Header.Get("Retry-After"); after != "" {
		t.Errorf("no room passes by itself in %s", after)
	}
	w.DoRaw("POST", "/v1/artifacts?user_id=bob", file("b")).Expect(t, 201)
	w.DoRaw("POST", "/v1/artifacts?user_id=cid", file("c")).Expect(t, 507, "no room")
	w.Do("DELETE", "/v1/artifacts/"+hashOf(file("a"))+"?user_id=ada", "").Expect(t, 204)
	if left, err := os.ReadDir(filepath.Join(dir, "drafts")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	w.Get("/metrics").Expect(t, 200, `tasklane_artifacts_refused_total{reason="user_full"} 1`,
		`tasklane_artifacts_refused_total{reason="full"} 1`)
}

// TestLargeResultsComeBackWhole: events and the task's state have the reference, and /result the result, for
// those who may read the task.
func TestLargeResultsComeBackWhole(t *testing.T) {
	dir := t.TempDir()
	c := artifact.Config{Dir: dir}
	store, _, err := artifact.New(c)
	must(t, err)
	g := newGuardedWith(t, func(p *producer.Config) { p.Artifacts = store })
	large := `{"text":"` + strings.Repeat("long ", 100_000) + `"}`
	upload, err := store.Create("ada")
	must(t, err)
	_, err = upload.Write([]byte(large))
	must(t, err)
	info, err := upload.Commit(context.Background(), "result.json", "application/json", 0)
	must(t, err)
	upload.Close()
	for id, ref := range map[string]schemas.Artifact{
		"t1": {Hash: info.Hash, Size: info.Size}, "gone": {Hash: hashOf("gone"), Size: 4},
	} {
		g.Post(task(`"task_id":"`+id+`"`), g.as("ada")...).Expect(t, 202)
		g.Stored(g.Do("GET", "/v1/tasks/"+id, "", g.as("ada")...).Expect(t, 200).Body, ref)
	}
	got := g.Do("GET", "/v1/tasks/t1/result?wait=20s", "", g.as("ada")...).Expect(t, 200)
	if want := `"result":` + large + `,"error":null}`; !strings.HasSuffix(string(got.Raw), want) {
		t.Errorf("result: %.200s … of %d bytes", got.Raw, len(got.Raw))
	}
	if !jsontext.Value(got.Raw).IsValid() {
		t.Error("it is no JSON")
	}
	g.Do("GET", "/v1/tasks/t1/result", "", g.as("bob")...).Expect(t, 404)
	head := g.Do("HEAD", "/v1/tasks/t1/result", "", g.as("ada")...).Expect(t, 200)
	if len(head.Raw) > 0 {
		t.Errorf("HEAD has a body of %d bytes", len(head.Raw))
	}
	if state := g.Do("GET", "/v1/tasks/t1", "", g.as("ada")...).Expect(t, 200,
		`"result_artifact":{"artifact":"`+info.Hash); strings.Contains(string(state.Raw), "long") {
		t.Errorf("the state has the result: %.300s", state.Raw)
	}
	g.Do("GET", "/v1/tasks/gone/result?wait=20s", "", g.as("ada")...).Expect(t, 410, "does not have it")
}

// TestExpiredArtifacts are not there any more, but for unfinished tasks that name them, and in the end their
// content is gone.
func TestExpiredArtifacts(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, storeIn(t, dir, func(c *artifact.Config) {
		c.Retention, c.SweepEvery = time.Second, time.Second
	}))
	kept, gone := hashOf("kept"), hashOf("gone")
	w.DoRaw("POST", "/v1/artifacts?user_id=ada", "kept").Expect(t, 201)
	w.DoRaw("POST", "/v1/artifacts?user_id=ada", "gone").Expect(t, 201)
	w.Post(task(`"task_id":"open","input_data":{"files":[{"artifact":"`+kept+`"}]}`)).Expect(t, 202)
	w.Post(task(`"task_id":"ended","input_data":{"artifact":"`+gone+`"}`)).Expect(t, 202)
	w.Event("ended", schemas.Completed, `1`)
	deadline := time.Now().Add(20 * time.Second)
	for len(filesIn(t, dir)) > 1 {
		if time.Now().After(deadline) {
			t.Fatal("nothing is removed")
		}
		w.Get("/v1/tasks/open?user_id=ada").Expect(t, 200) // takes a moment
	}
	if left := filesIn(t, dir); len(left) != 1 || left[0] != "kept" {
		t.Errorf("left: %q", left)
	}
	w.Get("/v1/artifacts/"+gone+"?user_id=ada").Expect(t, 404)
	w.Get("/v1/artifacts/"+kept+"?user_id=ada").Expect(t, 404)
	if _, err := w.Config.Artifacts.Open(t.Context(), "ada", kept); err != nil {
		t.Errorf("the task cannot open its file: %v", err)
	}
}
