//go:build clients

package e2e

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestForeignClientsOfMCP: the official SDKs of Python and JavaScript list tools, call short and long ones, follow and
// cancel them, also while the API that they talk to is killed in the middle of a task.
func TestForeignClientsOfMCP(t *testing.T) {
	p := newPrograms(t)
	for name, command := range map[string][]string{
		"python": p.python("mcp_door.py"), "javascript": {"node", p.script("mcp_door.mjs")},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			i.up(t)
			door := newDoor(t, i)
			ctx, cancel := context.WithTimeout(t.Context(), 3*deadline)
			defer cancel()
			address := strings.Replace(door.base, "/openai/v1", "/mcp", 1)
			program := exec.CommandContext(ctx, command[0], append(command[1:], address)...)
			program.Env = append(os.Environ(), "NODE_PATH="+p.place("node", "node_modules"))
			var stderr strings.Builder
			program.Stderr = &stderr
			stdout, err := program.StdoutPipe()
			if err == nil {
				err = program.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			killed, ok := false, false
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				switch {
				case strings.HasPrefix(lines.Text(), "waiting "):
					door.killAndRestart()
					killed = true
				case lines.Text() == "ok":
					ok = true
				}
			}
			if err := program.Wait(); err != nil || !killed || !ok {
				t.Fatalf("killed %v, ok %v: %v\n%s", killed, ok, err, stderr.String())
			}
		})
	}
}
