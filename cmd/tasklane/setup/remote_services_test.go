package setup

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor/external/remote"
)

// TestRemoteWorkers: there is a listener where there are services for it, with their tokens, and neither without the
// other; one that is turned off is none.
func TestRemoteWorkers(t *testing.T) {
	no := false
	lookup := func(name string) (string, bool) { return "a-token-of-16-characters", name == "TOKEN" }
	with := func(token string) *config.Settings {
		return &config.Settings{RemoteServices: map[string]config.RemoteService{"a/b": {Token: config.SecretOf(token)}}}
	}
	off := with("")
	off.Services = map[string]config.Service{"a/b": {Enabled: &no}}
	for _, c := range []struct {
		settings *config.Settings
		addr     string
		want     int // services
		err      string
	}{
		{new(config.Settings), "", 0, ""}, {off, "", 0, ""}, {with(""), "127.0.0.1:0", 1, ""},
		{with("env:TOKEN"), "0.0.0.0:0", 1, ""},
		{with("env:NONE"), "127.0.0.1:0", 0, "remote_services.a/b: token: the environment"},
		{with("short"), "127.0.0.1:0", 0, "can be guessed"}, {with(""), "0.0.0.0:0", 0, "no token"},
		{with(""), "", 0, "give one with --worker-listen"}, {off, "127.0.0.1:0", 0, "--remote-service"},
	} {
		server, err := RemoteWorkers(c.settings, lookup, remote.Config{Addr: c.addr})
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || server != nil):
			t.Errorf("%+v on %q: %v, want %s", c.settings, c.addr, err, c.err)
		case c.err == "" && err != nil, c.err == "" && (server != nil) != (c.want > 0):
			t.Errorf("%+v on %q: %v, %v", c.settings, c.addr, server, err)
		case server != nil && len(server.Services()) != c.want:
			t.Errorf("%+v on %q: %d services", c.settings, c.addr, len(server.Services()))
		}
	}
	if err := CheckServices(off, nil); err != nil {
		t.Errorf("a remote service is not known: %v", err)
	}
}
