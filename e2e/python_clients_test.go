//go:build clients

package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignClientsInPython: code that calls the old system's tasks, with another import, and a Celery app, with no
// line changed, which a processor runs as a subprocess, with the results of Celery's own worker on Redis.
func TestForeignClientsInPython(t *testing.T) {
	p := newPrograms(t)
	library, err := filepath.Abs("../clients/python")
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(filepath.Dir(filepath.Dir(library)), "examples", "celery")
	python := "env PYTHONPATH=" + library + ":" + app + " " + p.place("venv", "bin", "python")
	i := newInstallation(t)
	s := i.up(t, "--subprocess", "celery/shop="+python+" -m tasklane.celery shop:app;children=2",
		"--subprocess", "document/writer="+python+" "+p.script("writer.py"))
	t.Setenv("TASKLANE_SERVER", s.api)
	t.Setenv("TASKLANE_NOTIFIER", s.notifier)
	_, redis, err := net.SplitHostPort(freePorts(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PYTHONPATH", library+":"+app)
	for name, arguments := range map[string][]string{
		"old_calls.py": {strings.Replace(s.notifier, "ws", "http", 1)}, "celery_app.py": nil, "celery_beside.py": {redis},
	} {
		t.Run(name, func(t *testing.T) {
			if said := output(t, append(p.python(name), arguments...)...); said != "ok\n" {
				t.Errorf("printed %q", said)
			}
		})
	}
	s.terminate()
}
