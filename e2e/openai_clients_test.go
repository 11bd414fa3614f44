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

// TestForeignClientsOfOpenAI: the official SDKs of Python and JavaScript, and the transport
// of vercel/ai, run against the OpenAI API unchanged, also while the API that they talk to is
// killed in the middle of a stream.
func TestForeignClientsOfOpenAI(t *testing.T) {
	p := newPrograms(t)
	for name, command := range map[string][]string{
		"python": p.python("openai_door.py"), "javascript": {"node", p.script("openai_door.mjs")},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			i.up(t)
			door := newDoor(t, i)
			ctx, cancel := context.WithTimeout(t.Context(), 3*deadline)
			defer cancel()
			program := exec.CommandContext(ctx, command[0], append(command[1:], door.base, "tasklane/debug/echo/")...)
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
				case strings.HasPrefix(lines.Text(), "streaming "):
					door.killAndRestart()
					killed = true
				case strings.HasPrefix(lines.Text(), "ok"):
					ok = true
				}
			}
			if err := program.Wait(); err != nil || !killed || !ok {
				t.Fatalf("killed %v, ok %v: %v\n%s", killed, ok, err, stderr.String())
			}
		})
	}
}
