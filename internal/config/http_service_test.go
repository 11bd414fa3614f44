package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

// TestParseHTTPService: options are read as in the file; what is wrong is said with what is wanted.
func TestParseHTTPService(t *testing.T) {
	name, got, err := config.ParseHTTPService("text/words=http://127.0.0.1:9000/a=b;max_inflight=8;" +
		"token=env:WORDS_TOKEN;header=X-Key: file:/run/key;allow=10.0.0.0/8,fd00::1;max_answer=1MiB;connect_timeout=2s")
	want := config.HTTPService{
		URL: "http://127.0.0.1:9000/a=b", MaxInflight: 8, Allow: []string{"10.0.0.0/8", "fd00::1"}, MaxAnswer: 1 << 20,
		ConnectTimeout: 2 * time.Second,
	}
	if got.Token.String() != "env:WORDS_TOKEN" || got.Headers["X-Key"].String() != "file:/run/key" {
		t.Errorf("secrets are %v, %v", got.Token, got.Headers)
	}
	got.Token, got.Headers = config.Secret{}, nil
	diff := cmp.Diff(want, got, cmp.AllowUnexported(config.Secret{}))
	if err != nil || name != "text/words" || diff != "" {
		t.Errorf("%s, %v: %s", name, err, diff)
	}
	for text, want := range map[string]string{
		"text/words":                                    "there is no =",
		"words=http://x/":                               "must be mode/name",
		"a/b=":                                          "must be a URL, for example http://127.0.0.1:9000/",
		"a/b=x:9000":                                    "must be a URL",
		"a/b=http://u:p@x/":                             "must not hold a user or password",
		"a/b=http://x/;tokn=x":                          "did you mean token?",
		"a/b=http://x/;token=env:":                      "must name a variable",
		"a/b=http://x/;header=X":                        "must be NAME: VALUE",
		"a/b=http://x/;header=X Y: z":                   "must be the name of an HTTP header",
		"a/b=http://x/;header=X:env:":                   "must name a variable",
		"a/b=http://x/;allow=inside":                    "addresses and ranges",
		"a/b=http://x/;allow=10.0.0.1/8":                "write 10.0.0.0/8",
		"a/b=http://x/;max_inflight=10001":              "at most 10000",
		"a/b=http://x/;max_inflight=-1":                 "whole number",
		"a/b=http://x/;max_answer=lots":                 "must be a size",
		"a/b=http://x/;connect_timeout=5":               "duration",
		"a/b=http://x/;token=k;header=authorization: k": "must be left out beside token",
	} {
		if _, _, err := config.ParseHTTPService(text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "MODE/NAME=URL") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestHTTPServicesInTheFile: secrets are not printed, misspelt keys are refused, and a name is one service's.
func TestHTTPServicesInTheFile(t *testing.T) {
	got, err := config.Parse("f",
		[]byte("http_services: {a/b: {url: 'http://x/', token: hunter22, headers: {X: file:k}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got.Print()); strings.Contains(text, "hunter22") || !strings.Contains(text, "<hidden>") {
		t.Errorf("it is printed as\n%s", text)
	}
	for text, want := range map[string]string{
		"http_services: {a/b: {ulr: x}}":                                              "did you mean url?",
		"http_services: {a/b: {url: 'http://x/'}}\nsubprocesses: {a/b: {command: x}}": "subprocesses has it too",
	} {
		if _, err := config.Parse("f", []byte(text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	lookup := func(string) (string, bool) { return "", false }
	given := map[string]config.HTTPService{}
	name, s, err := config.ParseHTTPService("a/b=http://x/;token=env:NONE")
	if err != nil {
		t.Fatal(err)
	}
	given[name] = s
	settings, err := config.Load(config.Sources{Lookup: lookup, HTTPServices: given})
	if err != nil || settings.CheckSecrets(lookup) == nil {
		t.Errorf("a secret that is not to be had: %+v, %v", settings, err)
	}
}
