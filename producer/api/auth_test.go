package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/api"
	"github.com/aiecs/tasklane/schemas"
)

// guarded is a world with auth on, and who can make tokens for it.
type guarded struct {
	*world
	minter *auth.Minter
}

func newGuarded(t *testing.T) guarded { t.Helper(); return newGuardedWith(t) }

func newGuardedWith(t *testing.T, change ...func(*producer.Config)) guarded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600))
	minter, err := auth.NewSecretMinter(path)
	must(t, err)
	return guarded{newWorld(t, append(change, func(c *producer.Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
	})...), minter}
}

// as is the header of a user, or of an admin.
func (g guarded) as(user string, scopes ...string) []string {
	token, err := g.minter.Mint(auth.Grant{User: user, Scopes: scopes, From: time.Now(), For: time.Hour})
	must(g.T, err)
	return []string{"Authorization", "Bearer " + token}
}

func (g guarded) admin() []string { return g.as("root", auth.DefaultAdminScope) }

// end ends a task that there is, as its processor would.
func (g guarded) end(id, user, result string) {
	g.T.Helper()
	state := g.Do("GET", "/v1/tasks/"+id+"?user_id="+user, "", g.admin()...).Expect(g.T, 200).Body
	g.EventOf(state, schemas.Completed, result)
	g.Do("GET", "/v1/tasks/"+id+"/result?wait=20s&user_id="+user, "", g.admin()...).Expect(g.T, 200)
}

// calls are all that need a token.
func calls() [][3]string {
	return [][3]string{
		{"POST", "/v1/tasks", task("")}, {"GET", "/v1/tasks", ""}, {"GET", "/v1/tasks/t1", ""}, {"GET",
			"/v1/tasks/t1/result", ""},
		{"GET", "/v1/tasks/t1/events", ""}, {"POST", "/v1/tasks/t1/cancel", ""}, {"GET", "/v1/controls", ""},
		{"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fast"}}`}, {"DELETE",
			"/v1/controls/pause/lane/fast", ""},
		{"POST", "/v1/artifacts", "a file"}, {"GET", "/v1/artifacts/" + strings.Repeat("0a", 32), ""},
		{"DELETE", "/v1/artifacts/" + strings.Repeat("0a", 32), ""}, {"GET", "/v1/services", ""},
	}
}

func TestEveryCallNeedsAToken(t *testing.T) {
	g := newGuarded(t)
	served := 0
	for _, r := range new(api.API).Routes() {
		if r.Guard != nil {
			served++
		}
	}
	if served != len(calls()) {
		t.Fatalf("%d calls are served and %d tried", served, len(calls()))
	}
	for _, c := range calls() {
		if c[0] == "GET" {
			g.Do("HEAD", c[1], "").Expect(t, 401)
		}
	}
	claims := fmt.Sprintf(`{"sub":"ada","exp":%d}`, time.Now().Add(time.Hour).Unix())
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims)) + "."
	past, err := g.minter.Mint(auth.Grant{User: "ada", From: time.Now().Add(-time.Hour), For: time.Minute})
	must(t, err)
	for _, c := range calls() {
		r := g.Do(c[0], c[1], c[2]).Expect(t, 401, "Authorization: Bearer")
		if got := r.Header.Get("WWW-Authenticate"); got != `Bearer realm="tasklane"` {
			t.Errorf("%v: challenge %q", c, got)
		}
		for _, token := range []string{none, past, "x", strings.Repeat("x", 9000)} {
			r := g.Do(c[0], c[1], c[2], "Authorization", "Bearer "+token).Expect(t, 401)
			if got := r.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
				t.Errorf("%v: challenge %q", c, got)
			}
		}
		g.Do(c[0], c[1], c[2], "Authorization", "Basic YWRhOmFkYQ==").Expect(t, 401)
		good := g.as("ada")
		g.Do(c[0], c[1], c[2], append(good, good...)...).Expect(t, 401, "more than once")
		g.Do(c[0], c[1]+"?token="+strings.TrimPrefix(good[1], "Bearer "), c[2]).Expect(t, 400, "query")
	}
	if records := g.Records("fast"); len(records) != 0 {
		t.Errorf("%d tasks were submitted", len(records))
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		g.Get(path).Expect(t, 200)
	}
	g.Get("/metrics").Expect(t, 200, `tasklane_auth_refused_total{reason="missing"}`)
	g.Get("/v1/nothing").Expect(t, 404)
}

func TestTokenSaysWhoseTaskItIs(t *testing.T) {
	g := newGuarded(t)
	body := func(user string) string {
		return strings.Replace(task(`"input_data":{"text":"x"}`), `"user_id":"ada",`, user, 1)
	}
	g.Post(body(""), g.as("ada")...).Expect(t, 202, `"user_id":"ada"`)
	g.Post(body(`"user_id":null,`), g.as("ada")...).Expect(t, 202, `"user_id":"ada"`)
	g.Post(body(`"user_id":"ada",`), g.as("ada")...).Expect(t, 202, `"user_id":"ada"`)
	g.Post(body(`"user_id":"bob",`), g.as("ada")...).Expect(t, 403, `"field":"user_id"`)
	g.Post(body(`"user_id":"Ada",`), g.as("ada")...).Expect(t, 403)
	g.Post(body(`"user_id":7,`), g.as("ada")...).Expect(t, 422, `"field":"user_id"`)
	g.Post(body(`"user_id":"",`), g.as("ada")...).Expect(t, 422, `"field":"user_id"`)
	g.Post(body(`"user_id":"ada","user_id":"bob",`), g.as("ada")...).Expect(t, 400)
	g.Post(body(`"user_id":"ada","on_success":{"user_id":"bob","task_name":"a","mode":"b","service":"c","task_id":"t"},`),
		g.as("ada")...).Expect(t, 403)
	g.Post(body(`"user_id":"ada","on_failure":{"on_success":{"user_id":"bob"}},`), g.as("ada")...).Expect(t, 403)
	g.Post(body(`"user_id":"bob",`), g.admin()...).Expect(t, 202, `"user_id":"bob"`)
	g.Post(body(""), g.admin()...).Expect(t, 202, `"user_id":"root"`)
	for _, r := range g.Records("fast") {
		if user := string(r.Key); !strings.Contains(string(r.Value), `"user_id":"`+user+`"`) || user == "Ada" {
			t.Errorf("on the lane: %s for %s", r.Value, user)
		}
	}

	// A key of two users stands for two tasks.
	key := []string{"Idempotency-Key", "k"}
	one := g.Post(body(""), append(g.as("ada"), key...)...).Expect(t, 202).Text("task_id")
	two := g.Post(body(""), append(g.as("bob"), key...)...).Expect(t, 202).Text("task_id")
	if again := g.Post(body(""), append(g.as("ada"), key...)...).Expect(t,
		202).Text("task_id"); one == two || again != one {
		t.Errorf("ids %s and %s, again %s", one, two, again)
	}
}

// What a caller is told of another user's task is what it is told of one that
// there is not, to the byte.
func TestTasksOfOthersAreNotThere(t *testing.T) {
	g := newGuarded(t)
	g.Post(strings.Replace(task(`"task_id":"bobs-a"`), "ada", "bob", 1), g.as("bob")...).Expect(t, 202)
	g.Post(strings.Replace(task(`"task_id":"bobs-b"`), "ada", "bob", 1), g.as("bob")...).Expect(t, 202)
	g.end("bobs-b", "bob", `{"secret":1}`)
	g.Do("GET", "/v1/tasks/bobs-b", "", g.as("bob")...).Expect(t, 200, `"user_id":"bob"`)
	g.Do("GET", "/v1/tasks/bobs-b", "", g.admin()...).Expect(t, 200, `"user_id":"bob"`)
	told := func(method, path, id, body string) string {
		r := g.Do(method, strings.Replace(path, "ID", id, 1), strings.ReplaceAll(body, "ID", id), g.as("ada")...)
		return fmt.Sprintf("%d %s", r.Code, strings.ReplaceAll(string(r.Raw), id, "ID"))
	}
	for _, c := range [][3]string{
		{"GET", "/v1/tasks/ID", "404 "}, {"GET", "/v1/tasks/ID?user_id=ada", "404 "}, {"GET", "/v1/tasks/ID?user_id=bob",
			"403 "},
		{"GET", "/v1/tasks/ID/result", "404 "}, {"GET", "/v1/tasks/ID/result?wait=30s", "404 "}, {"GET",
			"/v1/tasks/ID/result?wait=30s&user_id=bob", "403 "},
		{"GET", "/v1/tasks/ID/events", "404 "}, {"GET", "/v1/tasks/ID/events?user_id=bob&limit=1", "403 "},
		{"POST", "/v1/tasks/ID/cancel", "202 "}, {"POST", "/v1/tasks/ID/cancel?user_id=bob", "403 "},
	} {
		nothing := told(c[0], c[1], "bobs-c", "")
		if !strings.HasPrefix(nothing, c[2]) {
			t.Errorf("%v: a task that is not there: %s", c, nothing)
		}
		for _, id := range []string{"bobs-a", "bobs-b"} {
			if got := told(c[0], c[1], id, ""); got != nothing {
				t.Errorf("%v %s: %s, of none: %s", c, id, got, nothing)
			}
		}
	}
	// The same in a body; and what was cancelled is the caller's own.
	if got, nothing := told("POST", "/v1/tasks/ID/cancel", "bobs-b", `{"user_id":"bob"}`), told("POST",
		"/v1/tasks/ID/cancel", "bobs-c", `{"user_id":"bob"}`); got != nothing || got[:3] != "403" {
		t.Errorf("cancelled in a body: %s, of none: %s", got, nothing)
	}
	g.Do("GET", "/v1/controls", "", g.admin()...).Expect(t, 200, "cancel/task/ada/bobs-a")
	if r := g.Do("GET", "/v1/controls", "", g.admin()...); strings.Contains(string(r.Raw), "cancel/task/bob") {
		t.Errorf("bob's task was cancelled: %s", r.Raw)
	}
	// An id of both is two tasks, and nobody is told that it is ambiguous.
	g.Post(task(`"task_id":"bobs-b"`), g.as("ada")...).Expect(t, 202, `"pending"`)
	g.Do("GET", "/v1/tasks/bobs-b", "", g.as("ada")...).Expect(t, 200, `"user_id":"ada"`)
	g.Do("GET", "/v1/tasks/bobs-b", "", g.admin()...).Expect(t, 409)
}

func TestListsAreOnesOwn(t *testing.T) {
	g := newGuarded(t)
	for i := range 3 {
		for _, user := range []string{"ada", "bob"} {
			g.Post(strings.Replace(task(fmt.Sprintf(`"task_id":"%s%d","input_data":{"text":"needle"}`, user, i)), `"ada"`,
				`"`+user+`"`, 1), g.as(user)...).Expect(t, 202)
		}
	}
	count := func(query string, header []string) int {
		r := g.Do("GET", "/v1/tasks"+query, "", header...).Expect(t, 200)
		return len(r.Body["tasks"].([]any))
	}
	if n := count("", g.admin()); n != 6 {
		t.Errorf("an admin sees %d", n)
	}
	if n := count("?user_id=bob", g.admin()); n != 3 {
		t.Errorf("an admin sees %d of bob", n)
	}
	for _, query := range []string{"", "?user_id=ada", "?q=needle", "?status=pending", "?lane=fast&task_name=answer"} {
		if n := count(query, g.as("ada")); n != 3 {
			t.Errorf("%q: ada sees %d", query, n)
		}
	}
	g.Do("GET", "/v1/tasks?user_id=bob", "", g.as("ada")...).Expect(t, 403)
	// Where a page of another ends is no way into it.
	next := g.Do("GET", "/v1/tasks?limit=1", "", g.as("bob")...).Expect(t, 200).Text("next_cursor")
	r := g.Do("GET", "/v1/tasks?cursor="+url.QueryEscape(next), "", g.as("ada")...).Expect(t, 200)
	if strings.Contains(string(r.Raw), "bob") {
		t.Errorf("ada sees %s", r.Raw)
	}
}

func TestControlsNeedAnAdmin(t *testing.T) {
	g := newGuarded(t)
	for _, c := range calls() {
		if strings.HasPrefix(c[1], "/v1/controls") {
			g.Do(c[0], c[1], c[2], g.as("ada", "tasklane:adm", "admin")...).Expect(t, 403, "admin scope")
		}
	}
	g.Do("GET", "/v1/controls", "", g.admin()...).Expect(t, 200, `{"controls":[]}`)
	pause := `{"kind":"pause","target":{"type":"lane","lane":"fast"}%s}`
	g.Do("POST", "/v1/controls", fmt.Sprintf(pause, ""), g.admin()...).Expect(t, 201, `"by":"root"`)
	g.Do("POST", "/v1/controls", fmt.Sprintf(pause, `,"by":"eve for bob"`), g.admin()...).Expect(t, 200,
		`"by":"eve for bob"`)
	g.Do("DELETE", "/v1/controls/pause/lane/fast", "", g.admin()...).Expect(t, 200, `"was_in_force":true`)
	if _, c := lastControl(g.world, 3); c.By != "root" {
		t.Errorf("written %+v", c)
	}
	// A user cannot sign for another.
	g.Post(task(`"task_id":"t1"`), g.as("ada")...).Expect(t, 202)
	g.Do("POST", "/v1/tasks/t1/cancel", `{"by":"the operators"}`, g.as("ada")...).Expect(t, 202)
	if key, c := lastControl(g.world, 4); c.By != "ada" || key != "cancel/task/ada/t1" {
		t.Errorf("written under %s: %+v", key, c)
	}
}

// A long poll does not outlast the token.
func TestNobodyWaitsBeyondTheirToken(t *testing.T) {
	g := newGuarded(t)
	g.Post(task(`"task_id":"t1"`), g.as("ada")...).Expect(t, 202)
	for lasts := 2 * time.Second; ; lasts *= 2 {
		began := time.Now()
		token, err := g.minter.Mint(auth.Grant{User: "ada", From: began, For: lasts})
		must(t, err)
		answer := g.Do("GET", "/v1/tasks/t1/result?wait=60s", "", "Authorization", "Bearer "+token)
		took := time.Since(began)
		if answer.Code == 401 && took >= lasts-time.Second && lasts < time.Minute { // it ended on the way there
			continue
		}
		answer.Expect(t, 202, "pending")
		if took >= time.Minute {
			t.Errorf("waited %v", took)
		}
		return
	}
}

// TestTwoUsers sends whatever a caller can send: nothing of the other user comes
// back, and nothing of theirs changes.
func TestTwoUsers(t *testing.T) {
	g := newGuarded(t)
	ids := []string{"nothing", "both"}
	var cursors []string
	for _, user := range []string{"ada", "bob"} {
		mark := "mark" + user
		for i, id := range []string{"both", user + "1", user + "2"} {
			body := strings.Replace(task(fmt.Sprintf(`"task_id":%q,"input_data":{"text":%q},"labels":{"l":%q}`, id, mark,
				mark)), `"ada"`, `"`+user+`"`, 1)
			cursors = append(cursors, g.Post(body, g.as(user)...).Expect(t, 202).Text("cursor"))
			ids = append(ids, id)
			if i > 0 {
				g.end(id, user, fmt.Sprintf(`{"text":%q}`, mark))
			}
		}
		page := g.Do("GET", "/v1/tasks?limit=1", "", g.as(user)...).Expect(t, 200)
		cursors = append(cursors, page.Text("next_cursor"))
		after := g.Do("GET", "/v1/tasks/"+user+"1/events?limit=1", "", g.as(user)...).Expect(t, 200)
		cursors = append(cursors, after.Text("next"))
	}
	theirs := regexp.MustCompile(`markbob|"user_id":"bob"|"task_id":"bob\d"`)
	header := g.as("ada")
	rapid.Check(t, func(r *rapid.T) {
		query := url.Values{}
		for name, values := range map[string][]string{
			"user_id": {"", "ada", "bob", "root", "%", "*", "bob\x00", " bob", "' OR 1=1 --"}, "status": {"", "completed",
				"pending"}, "lane": {"", "fast", "heavy"},
			"q":      {"", "markbob", "markada", "mark*", `user_id:bob`, `"markbob" OR text`, "mark% NOT x"},
			"cursor": append(cursors, ""), "after": append(cursors, ""),
			"limit": {"", "1", "1000"}, "wait": {"", "0s"}, "task_name": {"", "answer"}, "by": {"", "bob"},
		} {
			if rapid.Bool().Draw(r, "with "+name) {
				query[name] = rapid.SliceOfN(rapid.SampledFrom(values), 1, 2).Draw(r, name)
			}
		}
		id := rapid.SampledFrom(append(ids, "bob/1", "..", "bob1%00", "*")).Draw(r, "id")
		call := rapid.SampledFrom([]string{"GET ", "GET /ID", "GET /ID/result", "GET /ID/events", "POST /ID/cancel",
			"POST "}).Draw(r, "call")
		method, path, _ := strings.Cut(call, " ")
		body := ""
		if method == "POST" {
			user := rapid.SampledFrom([]string{`"bob"`, `"ada"`, `null`, `["bob"]`, `"bo\u0062"`}).Draw(r, "user in the body")
			body = `{"user_id":` + user + `}`
			if path == "" {
				body = `{"lane":"fast","task_id":"both","task_name":"answer","mode":"chat","service":"assistant",` +
					`"input_data":{"text":"markbob"},"labels":{"l":"markbob"},"user_id":` + user + `}`
			}
		}
		got := g.Do(method, "/v1/tasks"+strings.Replace(path, "ID", url.PathEscape(id), 1)+"?"+query.Encode(), body,
			header...)
		// A cancel may be for a task of her own to come; its answer repeats what she said.
		told := bytes.ReplaceAll(got.Raw, []byte(`"task_id":"`+id+`","user_id":"ada"`), nil)
		if found := theirs.Find(told); found != nil || got.Code >= 500 {
			r.Fatalf("%s %s of ada, %v %s: %d %s", method, path, query, body, got.Code, got.Raw)
		}
	})
	// Bob's are as they were, and nobody cancelled them.
	for _, id := range []string{"both", "bob1", "bob2"} {
		g.Do("GET", "/v1/tasks/"+id, "", g.as("bob")...).Expect(t, 200, `"user_id":"bob"`, "markbob")
	}
	if r := g.Do("GET", "/v1/controls?limit=1000", "", g.admin()...).Expect(t, 200); strings.Contains(string(r.Raw),
		"cancel/task/bob") {
		t.Errorf("bob's tasks were cancelled: %.500s", r.Raw)
	}
}

func TestAuthIsConfigured(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*producer.Config)
		want   string
	}{
		"exposed": {func(c *producer.Config) { c.Addr = "0.0.0.0:0" }, "turn auth on"},
		"exposed, auth on": {func(c *producer.Config) {
			c.Addr, c.Auth = "0.0.0.0:0", auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{"gone"}}
		}, "no such file"},
		"no keys": {func(c *producer.Config) { c.Auth.Mode = auth.ModeJWT }, "--auth-secret-file"},
		"off":     {func(c *producer.Config) { c.Auth.Audience = "tasklane" }, "--auth jwt"},
	} {
		config := w.Config
		c.change(&config)
		if _, err := producer.New(config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
