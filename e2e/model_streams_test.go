package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestModelStreams: streams of a model through a processor and the OpenAI API, whose clients all lose their connection
// again and again, have every token once and in order; scripts/streams checks it.
func TestModelStreams(t *testing.T) {
	t.Parallel()
	args := strings.Fields("run ../scripts/streams -streams 40 -length 4s -reconnect 1s -binary " + binary())
	if brokers := os.Getenv("TASKLANE_TEST_BROKERS"); brokers != "" {
		args = append(args, "-brokers", brokers)
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "TMPDIR="+t.TempDir())
	said, err := command.CombinedOutput()
	_, through, _ := strings.Cut(string(said), "through Tasklane\n")
	if err != nil || !strings.HasPrefix(through, "  40 streams whole, 8000 tokens ") {
		t.Fatalf("%v\n%s", err, said)
	}
}

// scripted makes the provider answer a model so, one answer a request.
func scripted(t *testing.T, provider, model string, answers ...map[string]any) {
	t.Helper()
	script, err := json.Marshal(map[string]any{"model": model, "answers": answers})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(provider+"/fake/script", "application/json", bytes.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the script is answered %s", response.Status)
	}
}

// TestAModelsStreamIsCut: the model's stream breaks in the middle, once or again, and the task asks anew. A reader of
// the response has the whole text once if the model says the same again; if it says something else, what was sent is
// closed as incomplete, and the new text follows as an item of its own.
func TestAModelsStreamIsCut(t *testing.T) {
	t.Parallel()
	provider := fakeProvider(t)
	i := newInstallation(t)
	up := i.upWith(t, []string{"OPENAI_API_KEY=any", "OPENAI_BASE_URL=" + provider + "/v1"})
	d := &door{t: t, i: i, base: up.api + "/openai/v1"}
	same := "one two three four five six seven eight"
	for name, c := range map[string]struct {
		answers []map[string]any
		text    string // of the response in the end
		sent    string // all that was streamed
		items   int
	}{
		"cut": {[]map[string]any{{"text": same, "end": "cut", "end_after": 3}, {"text": same}}, same, same, 1},
		"cut twice, later each time": {[]map[string]any{{"text": same, "end": "cut", "end_after": 2},
			{"text": same, "end": "cut", "end_after": 5}, {"text": same}}, same, same, 1},
		"cut earlier": {[]map[string]any{{"text": same, "end": "cut", "end_after": 6},
			{"text": same, "end": "cut", "end_after": 2}, {"text": same}}, same, same, 1},
		"no end mark":   {[]map[string]any{{"text": same, "end": "quiet", "end_after": 4}, {"text": same}}, same, same, 1},
		"malformed":     {[]map[string]any{{"text": same, "malformed_after": 4}, {"text": same}}, same, same, 1},
		"overloaded":    {[]map[string]any{{"text": same, "fail_after": 4, "status": 503}, {"text": same}}, same, same, 1},
		"before a word": {[]map[string]any{{"text": same, "end": "cut", "end_after": -1}, {"text": same}}, same, same, 1},
		"another answer": {[]map[string]any{{"text": same, "end": "cut", "end_after": 4}, {"text": "one two, no: nine ten"}},
			"one two, no: nine ten", "one two three four one two, no: nine ten", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := "gpt-" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "")
			for _, answer := range c.answers {
				answer["piece_delay_ms"] = 60 // so that pieces are told before the stream breaks
			}
			scripted(t, provider, model, c.answers...)
			created := d.post("/responses", map[string]any{"model": model, "input": "hi", "background": true, "user": "ada"})
			var response struct{ ID string }
			err := json.NewDecoder(created.Body).Decode(&response)
			_ = created.Body.Close()
			if err != nil || response.ID == "" {
				t.Fatal(created.Status, err)
			}
			own := *d
			own.t = t
			all, sent := own.follow(response.ID, nil)
			var last struct {
				Type     string `json:"type"`
				Response struct {
					Status string `json:"status"`
					Output []struct {
						Content []struct {
							Text string `json:"text"`
						} `json:"content"`
					} `json:"output"`
				} `json:"response"`
			}
			if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil {
				t.Fatal(err)
			}
			if out := last.Response.Output; last.Type != "response.completed" || len(out) != 1 || len(out[0].Content) != 1 ||
				out[0].Content[0].Text != c.text {
				t.Errorf("the end is %s", all[len(all)-1])
			}
			asked := (&fleet{t: t, provider: provider}).asked(model)
			if len(asked) != len(c.answers) {
				t.Errorf("the model was asked %d times, want %d", len(asked), len(c.answers))
			}
			added := strings.Count(strings.Join(all, "\n"), `"type":"response.output_item.added"`)
			if strings.Join(strings.Fields(sent), " ") != c.sent || added != c.items {
				t.Errorf("%q in %d items was streamed, want %q in %d", sent, added, c.sent, c.items)
			}
		})
	}
}
