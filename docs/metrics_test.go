package docs_test

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	prefixPattern = regexp.MustCompile("with the prefix `(tasklane_[a-z_]*)`")
	namePattern   = regexp.MustCompile("`([a-z][a-z_]*)(?:\\{[^`]*)?`")
)

// TestMetrics: the documents name every metric that the roles export, and none that there is not.
func TestMetrics(t *testing.T) {
	exported := exportedMetrics(t)
	if len(exported) < 60 {
		t.Fatalf("only %d metrics: %v", len(exported), slices.Sorted(maps.Keys(exported)))
	}
	monitoring := documentedMetrics(read(t, "MONITORING.md"))
	_, webhooks, _ := strings.Cut(read(t, "WEBHOOKS.md"), "\n## Metrics\n")
	_, control, _ := strings.Cut(read(t, "CONTROL.md"), "\n## Metrics\n")
	documented := maps.Clone(monitoring)
	maps.Copy(documented, documentedMetrics(control))
	for _, found := range namePattern.FindAllStringSubmatch(webhooks, -1) {
		documented["tasklane_webhooks_"+found[1]] = true
	}
	for name := range exported {
		if !documented[name] && !strings.Contains(read(t, "NOTIFIER.md"), "`"+name+"`") {
			t.Errorf("%s is in no table of docs/MONITORING.md, docs/CONTROL.md or docs/WEBHOOKS.md", name)
		}
	}
	// Those that are there from the first time that it happens, or with other keys.
	later := []string{
		"tasklane_auth_refused_total", "tasklane_auth_keys", "tasklane_auth_keys_age_seconds",
		"tasklane_auth_key_fetches_total",
		"tasklane_http_requests_total", "tasklane_http_request_duration_seconds", "tasklane_tasks_submitted_total",
		"tasklane_artifacts_refused_total", "tasklane_notifier_closed_total", "tasklane_notifier_recoveries_total",
	}
	for name := range monitoring {
		if !exported[name] && !slices.Contains(later, name) {
			t.Errorf("docs/MONITORING.md has %s, which no role exports", name)
		}
	}
}

// documentedMetrics are the full names in the first columns of the tables of metrics.
func documentedMetrics(document string) map[string]bool {
	all := map[string]bool{}
	prefix, inTable := "", false
	for line := range strings.Lines(document) {
		if found := prefixPattern.FindStringSubmatch(strings.ToLower(line)); found != nil {
			prefix = found[1]
		}
		switch {
		case strings.HasPrefix(line, "#"):
			prefix = ""
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case strings.HasPrefix(line, "| metric") || strings.HasPrefix(line, "| name"):
			inTable = true
		case inTable:
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			for _, found := range namePattern.FindAllStringSubmatch(first, -1) {
				all["tasklane_"+strings.TrimPrefix(strings.TrimPrefix(prefix, "tasklane_")+found[1], "tasklane_")] = true
			}
		}
	}
	return all
}

// exportedMetrics are those of all roles, on the ports of a fresh installation, without the parts of histograms.
func exportedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	up := exec.CommandContext(t.Context(), newHelp(t).binary, "up", "--data-dir", filepath.Join(t.TempDir(), "data"),
		"--api-addr", "127.0.0.1:0", "--notifier-addr", "127.0.0.1:0", "--broker-addr", "127.0.0.1:0",
		"--worker-listen", "127.0.0.1:0", "--remote-service", "test/remote")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	up.Cancel = func() error { return up.Process.Signal(syscall.SIGTERM) }
	up.WaitDelay = 30 * time.Second
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = up.Cancel()
		_ = up.Wait()
	}()
	ready, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", ready, err)
	}
	all := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?:api=http|notifier=ws)://(\S+)`).FindAllStringSubmatch(ready, -1) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+found[1]+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`(?m)^tasklane_[a-z_]+`).FindAllString(string(body), -1) {
			all[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] = true
		}
	}
	return all
}
