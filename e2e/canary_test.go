package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// canaries are secrets by what they are. Nobody may see one.
type canaries map[string]string

// of is a new secret.
func (c canaries) of(what string) string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	c[what] = fmt.Sprintf("canary/%x+%s", b, strings.Repeat("=", len(c)%3))
	return c[what]
}

// forms are ways in which a secret may stand in a text.
func forms(secret string) (forms [][]byte) {
	quoted, _ := json.Marshal(secret)
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret),
		string(quoted[1 : len(quoted)-1])} {
		forms = append(forms, []byte(form))
	}
	for before := range 3 {
		all := base64.StdEncoding.EncodeToString([]byte("\x00\x00"[:before] + secret))
		forms = append(forms, []byte(all[4:len(all)-4])) // without what is shared with the neighbours
	}
	return forms
}

// look fails the test if a secret stands in a text.
func (c canaries) look(t *testing.T, where string, text []byte) {
	t.Helper()
	for what, secret := range c {
		for _, form := range forms(secret) {
			if at := bytes.Index(text, form); at >= 0 {
				t.Errorf("the %s is in %s: ...%q", what, where, text[max(0, at-150):min(len(text), at+150)])
				break
			}
		}
	}
}

// file writes a file that its owner alone can read.
func file(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serviceAccount is a key file of Google's whose tokens come from the fake.
func (c canaries) serviceAccount(t *testing.T, fake string) (path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // for a fake
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c["private key"], c["access token"] = strings.Split(private, "\n")[3], "fake-access-token"
	b, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "p", "private_key": private,
		"private_key_id": c.of("private key's id"), "client_email": "tests@p.example", "token_uri": fake + "/token"})
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "account.json", string(b))
}

// tokenOf is a user's token; its signature is what is secret of it.
func (c canaries) tokenOf(user, scope, secret string) (token string) {
	claims := fmt.Sprintf(`{"sub":%q,"scope":%q,"exp":%d}`, user, scope, time.Now().Add(time.Hour).Unix())
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	signature := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	c["signature of "+user+"'s token"] = signature
	return text + "." + signature
}

// canaryProviders are the services that the settings of the test turn on.
func canaryProviders() []string {
	return []string{"openai", "xai", "anthropic", "vertex", "compatible", "proxied"}
}

// settings has secrets in all the ways in which a file can have them.
func (c canaries) settings(t *testing.T, fake, more string) (path string, environment []string) {
	t.Helper()
	at, err := url.Parse(fake)
	if err != nil {
		t.Fatal(err)
	}
	proxy, vertex := *at, *at
	proxy.User = url.UserPassword(c.of("proxy's user"), c.of("proxy's password"))
	vertex.User = url.UserPassword(c.of("base URL's user"), c.of("base URL's password"))
	path = file(t, "tasklane.yaml", `providers:
  openai: {base_url: '`+fake+`/v1', api_key: 'env:KEY_OF_OPENAI', breaker: {failures: 1000}}
  xai: {base_url: '`+fake+`/v1', api_key: 'file:`+file(t, "xai", c.of("key in a file")+"\n")+`',
    breaker: {failures: 1000}}
  anthropic: {base_url: '`+fake+`', api_key: '`+c.of("literal key")+`', breaker: {failures: 1000}}
  vertex: {project: p, location: l, headers: {X-Team: '`+c.of("literal header")+`'}, breaker: {failures: 1000}}
  compatible: {type: openai, base_url: '`+fake+`/v1', api: chat_completions, breaker: {failures: 1000},
    headers: {Authorization: 'env:HEADER_OF_COMPATIBLE'}}
  proxied: {type: openai, base_url: 'http://provider.test/v1', api_key: '`+c.of("key behind a proxy")+`',
    breaker: {failures: 1000}}
subprocesses:
  debug/child: {command: "sh -c 'env >&2; sleep 60'", init_timeout: 90s}
`+more)
	basic := base64.StdEncoding.EncodeToString([]byte(c.of("Basic user") + ":" + c.of("Basic password")))
	return path, []string{"KEY_OF_OPENAI=" + c.of("key in the environment"), "HEADER_OF_COMPATIBLE=Basic " + basic,
		"GOOGLE_APPLICATION_CREDENTIALS=" + c.serviceAccount(t, fake), "GOOGLE_VERTEX_BASE_URL=" + vertex.String(),
		"HTTP_PROXY=" + proxy.String(), "SOMETHING_ELSE=" + c.of("variable of the environment")}
}

// canaryAnswers are ways in which a provider can answer; all errors have in them what the request brought.
func canaryAnswers() []string {
	return []string{`{}`, `{"status":400,"echo_secrets":true}`, `{"status":401,"echo_secrets":true}`,
		`{"status":403,"echo_secrets":true}`, `{"status":404,"echo_secrets":true}`, `{"status":500,"echo_secrets":true}`,
		`{"status":429,"echo_secrets":true,"header":{"Retry-After-Ms":"10"}}`,
		`{"status":500,"fail_after":1,"echo_secrets":true}`, `{"end":"cut","end_after":1}`, `{"end":"cut","end_after":-1}`,
		`{"malformed_after":1}`, `{"content_type":"text/html"}`,
		`{"status":302,"header":{"Location":"http://other.test/"}}`}
}

// TestCanaries: secrets of providers, files, tokens and the environment are in no event, log, metric, error, artifact
// or answer, whatever becomes of tasks, and though providers repeat in their errors whatever they are sent.
func TestCanaries(t *testing.T) {
	t.Parallel()
	secrets, fake := canaries{}, fakeProvider(t)
	config, environment := secrets.settings(t, fake, "")
	signing := secrets.of("secret of tokens")
	ada, admin := secrets.tokenOf("ada", "", signing), secrets.tokenOf("root", "tasklane:admin", signing)
	i := newInstallation(t)
	hooks := "whsec_" + base64.StdEncoding.EncodeToString([]byte(secrets.of("secret of webhooks")))
	s := i.upWith(t, environment, "--config", config, "--auth", "jwt", "--auth-secret-file", file(t, "auth", signing),
		"--auth-ticket-secret-file", file(t, "tickets", secrets.of("secret of tickets")), "--slots-fast", "32",
		"--webhook-secret-file", file(t, "webhooks", hooks))

	var ids []string
	for n, answer := range canaryAnswers() {
		for _, name := range canaryProviders() {
			model := fmt.Sprintf("%s-%d", name, n)
			script(t, fake, `{"model":"`+model+`","answers":[`+answer+`]}`)
			id := "canary-" + model
			status, said := as(t, ada, "POST", s.api+"/v1/tasks", `{"lane":"fast","user_id":"ada","task_id":"`+id+`",`+
				`"task_name":"complete","mode":"chat","service":"`+name+`","input_data":{"prompt":"one two three"},`+
				`"context":{"model":"`+model+`"},"retry":{"max_attempts":1},"callback_url":"https://hooks.test/x"}`)
			if status != 202 {
				t.Fatalf("%s: %d %s", model, status, said)
			}
			ids = append(ids, id)
		}
	}
	script(t, fake, `{"model":"door","answers":[{"status":400,"echo_secrets":true,"times":-1}]}`)
	seen := map[string]string{}
	answer := func(path, body string) string {
		method := map[bool]string{true: "GET", false: "POST"}[body == ""]
		_, seen["answer of "+path+body] = as(t, ada, method, s.api+path, body)
		return seen["answer of "+path+body]
	}
	hidden := 0
	for _, id := range ids {
		result := answer("/v1/tasks/"+id+"/result?wait=60s", "")
		if !strings.Contains(result, `"status"`) || strings.Contains(result, `"running"`) {
			t.Errorf("%s: %s", id, result)
		}
		hidden += strings.Count(result, "[secret]")
		answer("/v1/tasks/"+id, "")
		answer("/v1/tasks/"+id+"/events", "")
	}
	if hidden < 4*len(canaryProviders()) {
		t.Errorf("only %d secrets were taken out of the errors of providers that repeat them", hidden)
	}
	for _, path := range []string{"/v1/services", "/v1/tasks?limit=1000", "/openai/v1/models", "/v1/lanes", "/metrics",
		"/readyz"} {
		answer(path, "")
	}
	for path, body := range map[string]string{"responses": `"input":"x"`,
		"chat/completions": `"messages":[{"role":"user","content":"x"}]`} {
		for _, stream := range []string{"true", "false"} {
			answer("/openai/v1/"+path, `{"model":"openai/door","stream":`+stream+`,`+body+`}`)
		}
	}
	large := strings.Repeat("large ", 60_000)
	answer("/v1/tasks", `{"lane":"fast","user_id":"ada","task_id":"large","task_name":"echo","mode":"debug",`+
		`"service":"echo","input_data":{"text":"`+large+`"}}`)
	answer("/v1/tasks/large/result?wait=60s", "")
	for _, path := range []string{"/v1/workers", "/v1/dlq", "/v1/services"} {
		_, seen["answer to an administrator of "+path] = as(t, admin, "GET", s.api+path, "")
	}
	_, seen["refusal of a token"] = as(t, ada+"x", "GET", s.api+"/v1/tasks", "")
	_, seen["metrics of the notifier"] = as(t, "", "GET", strings.Replace(s.notifier, "ws:", "http:", 1)+"/metrics", "")
	for _, args := range [][]string{{"config", "print", "--config", config}, {"config", "check", "--config", config}} {
		command := exec.Command(binary(), args...)
		command.Env = append(os.Environ(), environment...)
		out, _ := command.CombinedOutput()
		seen[strings.Join(args[:2], " ")] = string(out)
	}
	if !strings.Contains(seen["config print"], "<hidden>") {
		t.Errorf("config print: %s", seen["config print"])
	}
	_, sent := as(t, "", "GET", fake+"/fake/requests", "")
	for _, what := range []string{"key in the environment", "key in a file", "literal key", "literal header",
		"key behind a proxy", "access token"} {
		if !strings.Contains(sent, secrets[what]) {
			t.Errorf("the %s was not used", what)
		}
	}
	topics(t, i, func(what string, value []byte) { secrets.look(t, what, value) })
	s.terminate()
	seen["the log"] = s.log.String()
	for where, text := range seen {
		secrets.look(t, where, []byte(text))
	}
	secrets.lookInFiles(t, i.dir)
}

// TestCanariesOfAStore: the keys of an S3 store are in no log or answer, though the store repeats them in its errors.
func TestCanariesOfAStore(t *testing.T) {
	t.Parallel()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>no: %s</Message><Key>%s</Key></Error>",
			r.Header.Get("Authorization"), r.URL)
	}))
	t.Cleanup(store.Close)
	secrets := canaries{}
	config := file(t, "tasklane.yaml", `artifacts: {s3: {endpoint: '`+store.URL+`', bucket: files, path_style: true,
  access_key: '`+secrets.of("access key")+`', secret_key: 'env:S3_SECRET'}}`)
	i := newInstallation(t)
	s := i.upWith(t, []string{"S3_SECRET=" + secrets.of("secret key")}, "--config", config)
	_, answer := as(t, "", "POST", s.api+"/v1/artifacts?user_id=ada", "content")
	if !strings.Contains(answer, "status") {
		t.Errorf("got %q", answer)
	}
	_, metrics := as(t, "", "GET", s.api+"/metrics", "")
	s.terminate()
	secrets.look(t, "the answer", []byte(answer))
	secrets.look(t, "the metrics", []byte(metrics))
	secrets.look(t, "the log", []byte(s.log.String()))
	secrets.lookInFiles(t, i.dir)
}

// lookInFiles looks at whatever a process has written.
func (c canaries) lookInFiles(t *testing.T, dir string) {
	t.Helper()
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was temporary
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		c.look(t, path, content)
		count++
		return err
	})
	if err != nil || count == 0 {
		t.Errorf("looked at %d files: %v", count, err)
	}
}

// script tells the fake how to answer.
func script(t *testing.T, fake, body string) {
	t.Helper()
	response, err := http.Post(fake+"/fake/script", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("script: %s", said)
	}
}

// topics gives every record of an installation, as it is, to a function.
func topics(t *testing.T, i *installation, look func(what string, value []byte)) {
	t.Helper()
	all := append(i.ourTopics(), i.prefix+"task-definitions", i.prefix+"task-limits")
	client, err := kgo.NewClient(kgo.SeedBrokers(i.seeds()...), kgo.ConsumeTopics(all...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := i.admin(t).ListEndOffsets(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int64{}
	for _, topic := range ends {
		for _, p := range topic {
			if p.Offset > 0 {
				left[fmt.Sprint(p.Topic, p.Partition)] = p.Offset
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for len(left) > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			where := fmt.Sprint(r.Topic, r.Partition)
			if r.Offset+1 >= left[where] {
				delete(left, where)
			}
			all := append(append([]byte{}, r.Key...), r.Value...)
			for _, h := range r.Headers {
				all = append(append(all, h.Key...), h.Value...)
			}
			look(fmt.Sprintf("a record of %s", r.Topic), all)
		})
	}
	if len(left) > 0 {
		t.Errorf("not all was read: %v", left)
	}
}
