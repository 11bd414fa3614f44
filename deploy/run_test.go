package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline bounds every wait of these tests.
const deadline = 60 * time.Second

// TestRun runs the services of the compose file as processes: their commands
// and variables as they stand there, but for addresses and data directories. The
// health checks are those of the compose file too.
func TestRun(t *testing.T) {
	bin := buildBinaries(t)
	broker := start(t, filepath.Join(bin, "tasklane"), []string{"broker"},
		map[string]string{"TASKLANE_BROKER_ADDR": "127.0.0.1:0", "TASKLANE_DATA_DIR": t.TempDir()})
	brokers := broker.place("kafka=")
	c := readCompose(t)
	places := map[string]string{}
	var running []*process
	for _, name := range c.roles() {
		s := c.Services[name]
		checkVariables(t, filepath.Join(bin, "tasklane"), name, s)
		environment := map[string]string{"TASKLANE_DATA_DIR": t.TempDir()}
		for variable, value := range s.Environment {
			switch {
			case variable == "TASKLANE_BROKERS":
				value = brokers
			case strings.HasSuffix(variable, "_ADDR"):
				checkHealthPort(t, name, s, value)
				value = "127.0.0.1:0"
			case strings.HasPrefix(value, "${"):
				value = "" // what is not set where compose is run
			}
			environment[variable] = value
		}
		p := start(t, filepath.Join(bin, "tasklane"), s.Command, environment)
		running = append(running, p)
		places[name] = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+`).FindString(p.line)
		probe(t, filepath.Join(bin, "probe"), places[name], s)
	}
	runTask(t, "http://"+places["producer"])
	slices.Reverse(running)
	for _, p := range append(running, broker) {
		p.stop()
	}
}

func buildBinaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator), "./cmd/tasklane",
		"./deploy/probe")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as they are shipped, with the race detector too
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, said)
	}
	return dir
}

// checkVariables: a variable that the command does not know would be ignored
// in silence.
func checkVariables(t *testing.T, binary, name string, s service) {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), binary, append(s.Command, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s: %v --help: %v", name, s.Command, err)
	}
	for variable := range s.Environment {
		if !regexp.MustCompile(`\$` + variable + `\b`).Match(help) {
			t.Errorf("%s: %v does not read %s", name, s.Command, variable)
		}
	}
}

// checkHealthPort: the health check and the published port are the ones that the
// service listens on.
func checkHealthPort(t *testing.T, name string, s service, addr string) {
	t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	if want := "http://127.0.0.1:" + port + "/readyz"; !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/probe", want}) {
		t.Errorf("%s: health check is %q, want one of %s", name, s.Healthcheck.Test, want)
	}
	for _, published := range s.Ports {
		if !strings.HasSuffix(published, ":"+port) {
			t.Errorf("%s listens on %s and publishes %s", name, addr, published)
		}
	}
	if !strings.Contains(read(t, "deploy/Dockerfile"), port) {
		t.Errorf("%s: port %s is not exposed by the image", name, port)
	}
}

// probe runs the health check until it is content, as a container engine does.
func probe(t *testing.T, binary, place string, s service) {
	t.Helper()
	address := "http://" + place + "/readyz"
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		said, err := exec.CommandContext(ctx, binary, address).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v: %s: %v: %s", s.Command, address, err, said)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func runTask(t *testing.T, api string) {
	t.Helper()
	task := `{"lane":"fast","task_id":"compose-1","user_id":"alice","task_name":"detect_language","mode":"chat",` +
		`"service":"text_analyzer",` +
		`"input_data":{"text":"Le colis est arrivé un jour plus tôt et tout fonctionne."}}`
	if status, body := call(t, http.MethodPost, api+"/v1/tasks", task); status != http.StatusAccepted {
		t.Fatalf("submit: %d %s", status, body)
	}
	status, body := call(t, http.MethodGet, api+"/v1/tasks/compose-1/result?user_id=alice&wait=30s", "")
	if status != http.StatusOK || !strings.Contains(body, `"language":"fr"`) {
		t.Errorf("result: %d %s", status, body)
	}
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// process is a service that runs and has said where it is.
type process struct {
	t       *testing.T
	command *exec.Cmd
	line    string // the one that begins with ready
	stderr  *bytes.Buffer
}

// start runs a command with these variables and no other of Tasklane's, and
// waits until it is ready.
func start(t *testing.T, binary string, args []string, environment map[string]string) *process {
	t.Helper()
	p := &process{t: t, stderr: new(bytes.Buffer), command: exec.Command(binary, args...)}
	p.command.Stderr = p.stderr
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TASKLANE_") && !strings.HasPrefix(pair, "CORS_") {
			p.command.Env = append(p.command.Env, pair)
		}
	}
	for name, value := range environment {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.command.ProcessState == nil {
			_ = p.command.Process.Kill()
			_ = p.command.Wait()
		}
	})
	timer := time.AfterFunc(deadline, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
		t.Fatalf("%v said %q (%v) and not that it is ready:\n%s", args, line, err, p.stderr)
	}
	p.line = line
	return p
}

// place is what stands after a name in the ready line.
func (p *process) place(name string) string {
	p.t.Helper()
	for _, word := range strings.Fields(p.line) {
		if place, ok := strings.CutPrefix(word, name); ok {
			return place
		}
	}
	p.t.Fatalf("%q has no %s", p.line, name)
	return ""
}

// stop ends the process as a container engine does, and wants a clean end.
func (p *process) stop() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	timer := time.AfterFunc(deadline, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	if err := p.command.Wait(); err != nil {
		p.t.Error(fmt.Errorf("%v: %w\n%s", p.command.Args, err, p.stderr))
	}
}

// TestUnreachable: with nobody at the broker's address every role ends with 3,
// so that the container is started again.
func TestUnreachable(t *testing.T) {
	bin := buildBinaries(t)
	c := readCompose(t)
	for _, name := range c.roles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), filepath.Join(bin, "tasklane"), c.Services[name].Command...)
			command.Env = append(os.Environ(), "TASKLANE_BROKERS=127.0.0.1:1", "TASKLANE_DATA_DIR="+t.TempDir())
			said, _ := command.CombinedOutput()
			if code := command.ProcessState.ExitCode(); code != 3 {
				t.Errorf("exit code %d, want 3\n%s", code, said)
			}
		})
	}
}
