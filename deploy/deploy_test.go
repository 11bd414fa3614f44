// Package deploy_test checks the image and the compose file as far as that goes
// without a container engine: what they say is compared with the project, and
// the services of the compose file are run as processes.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// root is the project's directory as seen from here.
const root = ".."

// compose is what is read of compose.yaml.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Build       map[string]string `yaml:"build"`
	Restart     string            `yaml:"restart"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &c); err != nil {
		t.Fatalf("parse compose.yaml: %v", err)
	}
	if len(c.Services) == 0 {
		t.Fatal("compose.yaml has no services")
	}
	return c
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// roles are the services that run the project's image.
func (c compose) roles() []string {
	var names []string
	for name, s := range c.Services {
		if s.Build != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestServices(t *testing.T) {
	c := readCompose(t)
	if want := []string{"notifier", "processor", "producer"}; !slices.Equal(c.roles(), want) {
		t.Errorf("roles are %v, want %v", c.roles(), want)
	}
	pinned := regexp.MustCompile(`^[a-z0-9/._-]+:[A-Za-z0-9._-]+$`)
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) || strings.HasSuffix(s.Image, ":latest") {
			t.Errorf("%s: image %q has no fixed tag", name, s.Image)
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s: restart is %q", name, s.Restart)
		}
		if len(s.Healthcheck.Test) < 2 || s.Healthcheck.Test[0] != "CMD" {
			t.Errorf("%s: health check %q; it must not need a shell", name, s.Healthcheck.Test)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %q is published for other machines too", name, port)
			}
		}
		for _, volume := range s.Volumes {
			if from, _, _ := strings.Cut(volume, ":"); !hasKey(c.Volumes, from) {
				t.Errorf("%s: volume %q is not declared", name, from)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	c := readCompose(t)
	for _, name := range c.roles() {
		s := c.Services[name]
		if s.Build["dockerfile"] != "deploy/Dockerfile" || s.Build["context"] != "." {
			t.Errorf("%s is built from %v", name, s.Build)
		}
		if s.DependsOn["kafka"].Condition != "service_healthy" {
			t.Errorf("%s does not wait for Kafka", name)
		}
		if !s.ReadOnly {
			t.Errorf("%s can write to its image", name)
		}
		// Where every address is listened on, auth is off and that must be said.
		for variable, value := range s.Environment {
			if strings.HasSuffix(variable, "_ADDR") && strings.HasPrefix(value, "0.0.0.0:") &&
				s.Environment["TASKLANE_INSECURE"] != "true" {
				t.Errorf("%s: %s=%s without TASKLANE_INSECURE", name, variable, value)
			}
		}
	}
	if c.Services["processor"].Volumes != nil || c.Services["processor"].Ports != nil {
		t.Error("a processor with a named volume or a published port cannot be scaled")
	}
}

// TestKafka compares the listeners: who comes through one must be able to go on
// with the address that it advertises.
func TestKafka(t *testing.T) {
	c := readCompose(t)
	kafka := c.Services["kafka"]
	tested := regexp.MustCompile(`(?m)^version=(\S+)$`).FindStringSubmatch(read(t, "scripts/kafka/lib.sh"))
	if tested == nil || kafka.Image != "apache/kafka:"+tested[1] {
		t.Errorf("image is %s, the tests run on %v", kafka.Image, tested)
	}
	listen, advertise := listeners(kafka.Environment["KAFKA_LISTENERS"]),
		listeners(kafka.Environment["KAFKA_ADVERTISED_LISTENERS"])
	for _, name := range c.roles() {
		if got := c.Services[name].Environment["TASKLANE_BROKERS"]; got != advertise["INTERNAL"] {
			t.Errorf("%s connects to %q, Kafka advertises %q", name, got, advertise["INTERNAL"])
		}
	}
	want := advertise["HOST"] + listen["HOST"] // 127.0.0.1:9092 and :9094
	if !slices.Equal(kafka.Ports, []string{want}) {
		t.Errorf("ports are %v; %s is what is advertised to this machine", kafka.Ports, want)
	}
	if dir := kafka.Environment["KAFKA_LOG_DIRS"]; !slices.Contains(kafka.Volumes, "kafka-data:"+dir) {
		t.Errorf("data goes to %s, which is not on a volume", dir)
	}
	for name := range listen {
		if !strings.Contains(kafka.Environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"], name+":PLAINTEXT") {
			t.Errorf("listener %s has no protocol", name)
		}
	}
}

// listeners reads NAME://host:port,... into host:port by name.
func listeners(text string) map[string]string {
	all := map[string]string{}
	for entry := range strings.SplitSeq(text, ",") {
		name, address, _ := strings.Cut(entry, "://")
		all[name] = address
	}
	return all
}

func hasKey(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}
