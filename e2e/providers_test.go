package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeProvider is a server that speaks the protocols of AI providers: it repeats what it
// is asked. The address has no path.
func fakeProvider(t *testing.T) (address string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fakeprovider")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../scripts/fakeprovider")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	command := exec.Command(path)
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "ready "))
}

// upWith starts everything with more in its environment.
func (i *installation) upWith(t *testing.T, environment []string, more ...string) *server {
	t.Helper()
	command := exec.Command(binary(), i.upArgs(more...)...)
	command.Env = append(os.Environ(), environment...)
	s, lines := launchCommand(t, command)
	s.readLines(lines)
	s.waitReady()
	return s
}

// TestAProviderFromTheEnvironment: a key in the environment is all that is needed. The
// service is listed with its tasks, wrong input is refused by its member, an answer is
// streamed and its usage told, and the key is nowhere.
func TestAProviderFromTheEnvironment(t *testing.T) {
	t.Parallel()
	const key = "canary-key-5f1c"
	s := newInstallation(t).upWith(t, []string{
		"OPENAI_API_KEY=" + key, "OPENAI_BASE_URL=" + fakeProvider(t) + "/v1",
	}, "--provider-limit", "openai/gpt-5-mini=rpm:6000,itpm:9000000,otpm:3000000")
	a := newAPI(t, s.api)

	var service map[string]any
	for _, one := range a.must(200, "GET", "/v1/services", nil)["services"].([]any) {
		if found := one.(map[string]any); found["service"] == "chat/openai" {
			service = found
		}
	}
	if service == nil || service["workers"] != 1.0 || len(service["lanes"].([]any)) != 2 ||
		len(service["tasks"].([]any)) < 3 {
		t.Fatalf("chat/openai is listed as %v", service)
	}
	task := func(input map[string]any) map[string]any {
		return map[string]any{"lane": "fast", "user_id": "ada", "task_name": "complete", "mode": "chat", "service": "openai",
			"input_data": input, "context": map[string]any{"model": "gpt-5-mini"}}
	}
	refused := a.must(422, "POST", "/v1/tasks", task(map[string]any{"prompt": 5}))
	if refused["field"] != "input_data.prompt" || refused["pointer"] != "#/input_data/prompt" {
		t.Errorf("wrong input is refused as %v", refused)
	}

	live := watch(t, s.notifier, "ada", "now")
	id := a.must(202, "POST", "/v1/tasks", task(map[string]any{"prompt": "one two three four five"}))["task_id"].(string)
	var streamed strings.Builder
	index := -1.0
	var end map[string]any
	for end == nil {
		event := live.next()
		switch {
		case event["task_id"] != id:
		case event["kind"] == "output":
			output := event["output"].(map[string]any)
			if output["index"].(float64) <= index {
				t.Errorf("index %v follows %v", output["index"], index)
			}
			index = output["index"].(float64)
			text, _ := output["text"].(string)
			streamed.WriteString(text)
		case event["status"] == "completed" || event["status"] == "failed":
			end = event
		}
	}
	result, _ := end["result"].(map[string]any)
	usage, _ := end["usage"].(map[string]any)
	if end["status"] != "completed" || result["text"] == "" || result["text"] != streamed.String() {
		t.Errorf("streamed %q, the end is %v", streamed.String(), end)
	}
	if usage["model"] != "gpt-5-mini" || usage["input_tokens"].(float64) <= 0 || usage["cost_picodollars"] == nil {
		t.Errorf("usage %v", usage)
	}
	if strings.Contains(s.log.String(), key) {
		t.Error("the key is in the log")
	}
	s.terminate()
	if strings.Contains(s.log.String(), "environment variable has no effect") {
		t.Errorf("a variable that has one is warned of:\n%s", tail(s.log.String(), 4000))
	}
}

// TestSettingsThatAreWrongAreRefused: before anything is started, with the place.
func TestSettingsThatAreWrongAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tasklane.yaml")
	for content, want := range map[string]string{
		"providers:\n  openai: {base_ulr: x}\n": ":2:12: providers.openai.base_ulr: " +
			"the key is not known; did you mean base_url?",
		"limits: [{provider: openai, models: [no-such-model], rpm: 3}]\n": "no-such-model",
		"services: {chat/opnai: {slots: 2}}\n":                            "did you mean chat/openai?",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		i := newInstallation(t)
		command := exec.Command(binary(), i.upArgs("--config", path)...)
		command.Env = append(os.Environ(), "OPENAI_API_KEY=x")
		s, _ := launchCommand(t, command)
		select {
		case <-s.exited:
		case <-time.After(deadline):
			t.Fatalf("%s: it runs", content)
		}
		if code := s.command.ProcessState.ExitCode(); code != 2 || !strings.Contains(s.log.String(), want) {
			t.Errorf("%s: ended with %d:\n%s\nwant %s", content, code, tail(s.log.String(), 1000), want)
		}
	}
}
