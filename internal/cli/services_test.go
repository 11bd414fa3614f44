package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServicesAreListed(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"services":[
			{"service":"chat/helper","mode":"chat","name":"helper","versions":["1","2"],"lanes":["fast","heavy"],"workers":2,
			"since":"2026-11-30T14:00:00.000Z","generic":true,"tasks":[{"name":"ask","input":{"type":"object"}}]},
			{"service":"debug/echo","mode":"debug","name":"echo","versions":[],"lanes":["fast"],"workers":1,
			"since":"2026-11-30T14:00:00.000Z","generic":false,"tasks":[{"name":"echo"},{"name":"sleep"}]}]}`))
	}))
	t.Cleanup(api.Close)
	user := terminal{server: api.URL}
	table := user.run(t.Context(), t, "services")
	lines := strings.Split(strings.TrimSpace(table.stdout), "\n")
	if table.err != nil || len(lines) != 3 || !strings.HasPrefix(lines[0], "SERVICE      VERSIONS  TASKS") ||
		strings.Join(strings.Fields(lines[1]), " ") != "chat/helper 1,2 ask,* fast,heavy 2 2026-11-30T14:00:00Z" ||
		strings.Join(strings.Fields(lines[2]), " ") != "debug/echo - echo,sleep fast 1 2026-11-30T14:00:00Z" {
		t.Errorf("%v\n%s", table.err, table.stdout)
	}
	if rows := user.run(t.Context(), t, "services", "-o", "jsonl").lines(t); len(rows) != 2 ||
		rows[0]["service"] != "chat/helper" ||
		rows[0]["tasks"].([]any)[0].(map[string]any)["input"] == nil {
		t.Errorf("as JSON: %v", rows)
	}
	user.run(t.Context(), t, "services", "chat/helper").fails(t, "")
}
