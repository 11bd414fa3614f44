//go:build clients

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestForeignClientsBehindProxies: the recipes of docs/NOTIFIER.md do what they say, with
// the programs they are for. scripts/clients/setup.sh installs them.
func TestForeignClientsBehindProxies(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	free := freePorts(t, 2)
	dir := t.TempDir()
	for name, start := range map[string]func(config string) (address string, command []string){
		"nginx": func(recipe string) (string, []string) {
			temporary := ""
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				temporary += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
			}
			whole := "daemon off; master_process off; pid " + filepath.Join(dir,
				"nginx.pid") + "; error_log stderr;\nevents {}\nhttp { access_log off;\n" +
				temporary + "server { listen " + free[0] + ";\n" + recipe + "}}\n"
			return free[0], []string{"nginx", "-e", "stderr", "-c", written(t, dir, "nginx.conf", whole)}
		},
		"haproxy": func(recipe string) (string, []string) {
			return free[1], []string{"haproxy", "-db", "-f",
				written(t, dir, "haproxy.cfg", strings.Replace(recipe, "127.0.0.1:8888", free[1], 1))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, command := start(strings.ReplaceAll(recipe(t, name), "127.0.0.1:8000", i.notifier))
			runProxy(t, address, command)
			throughProxy(t, s, address+"/tasklane")
		})
	}
	s.terminate()
}

// recipe is the block of docs/NOTIFIER.md for a proxy.
func recipe(t *testing.T, proxy string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/NOTIFIER.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+proxy+"\n")
	block, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("docs/NOTIFIER.md has no recipe for %s", proxy)
	}
	return block
}

func written(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runProxy starts a proxy, which ends with the test, and waits until it lets a request
// through.
func runProxy(t *testing.T, address string, command []string) {
	t.Helper()
	program := exec.Command(command[0], command[1:]...)
	var said safeBuffer
	program.Stdout, program.Stderr = &said, &said
	if err := program.Start(); err != nil {
		t.Fatalf("%v; run scripts/clients/setup.sh", err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", command[0], said.String())
		}
	})
	waitFor(t, command[0]+" to let a request through", func() bool {
		response := ask(t, "http://"+address+"/tasklane/healthz", nil)
		return response != nil && response.StatusCode == http.StatusOK
	})
}

// ask is the answer to a GET, nil if there is none.
func ask(t *testing.T, address string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// throughProxy watches a task over a WebSocket and a stream, as a page of the proxy's
// origin does.
func throughProxy(t *testing.T, s *server, base string) {
	user := strings.ReplaceAll(t.Name(), "/", "-")
	host, _, _ := strings.Cut(base, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		t.Fatal(err) // the point of the origin below is its port
	}
	page := http.Header{"Origin": {"http://" + host}}
	w := watch(t, "ws://"+base, user, "now")
	stream := ask(t, "http://"+base+"/sse?user_id="+user,
		http.Header{"Accept": {"text/event-stream"}, "Origin": page["Origin"]})
	if stream == nil || stream.StatusCode != http.StatusOK {
		t.Fatalf("the stream was answered %v", stream)
	}
	lines := bufio.NewScanner(stream.Body)
	sees := func(what string) {
		t.Helper()
		late := time.AfterFunc(deadline, func() { stream.Body.Close() })
		defer late.Stop()
		for lines.Scan() {
			if strings.Contains(lines.Text(), what) {
				return
			}
		}
		t.Fatalf("%q did not come through: %v", what, lines.Err())
	}
	sees(`"kind":"hello"`) // at once: a stream that is gathered says nothing before it is full
	newAPI(t, s.api).must(202, "POST", "/v1/tasks", newTask("fast", user, "t-1", "echo", nil))
	w.end("t-1")
	sees(`"status":"completed"`)

	for _, address := range []string{"/ws", "/ws/"} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		conn, response, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+base+address+"?user_id="+user, page)
		if err != nil {
			t.Fatalf("a page of the proxy's origin: %v, %v", err, response)
		}
		conn.Close()
		// What is wrong is said where a page can see it.
		conn, response, err = websocket.DefaultDialer.DialContext(ctx, "ws://"+base+address+"?user="+user, page)
		if err != nil {
			t.Fatalf("a wrong query: %v, %v", err, response)
		}
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4422) {
			t.Errorf("a wrong query was told %v", err)
		}
		conn.Close()
	}
	for _, path := range []string{"/socket.io?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=polling",
		"/client.js", "/readyz"} {
		if response := ask(t, "http://"+base+path, page); response == nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s was answered %+v", path, response)
		}
	}
	if response := ask(t, "http://"+base+"/socket.io/?EIO=4&transport=polling",
		http.Header{"Origin": {"http://127.0.0.1"}}); response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another port was answered %+v", response)
	}
}
