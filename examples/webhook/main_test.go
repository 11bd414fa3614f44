package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

func TestReceiverTakesAnEventOnce(t *testing.T) {
	text := strings.Repeat("a", 32)
	secret, err := schemas.ParseWebhookSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("# current\n"+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := newReceiver(file, &out)
	if err != nil {
		t.Fatal(err)
	}
	post := func(body, signature string) int {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		now := time.Now()
		if signature == "" {
			signature = secret.Sign("e-1", now, []byte(body))
		}
		request.Header.Set(schemas.WebhookID, "e-1")
		request.Header.Set(schemas.WebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		request.Header.Set(schemas.WebhookSignature, signature)
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, request)
		return answer.Code
	}
	const body = `{"event_id":"e-1","task_id":"t-1","user_id":"alice","kind":"state","status":"completed"}`
	for _, test := range []struct {
		body, signature string
		want            int
	}{{body, "", 204}, {body, "", 204}, {body, "v1,bm8=", 401}, {strings.Repeat(" ", maxBody+1), "", 400}} {
		if got := post(test.body, test.signature); got != test.want {
			t.Errorf("answered %d, want %d", got, test.want)
		}
	}
	if out.String() != "t-1 of alice: completed\n" {
		t.Errorf("printed %q", out.String())
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	for _, args := range [][]string{nil, {"127.0.0.1:0"}, {"127.0.0.1:0", t.TempDir() + "/none"}} {
		if err := run(t.Context(), args, nil); err == nil {
			t.Errorf("%v passes", args)
		}
	}
}
