package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

func TestArtifactFlags(t *testing.T) {
	for text, want := range map[string]config.S3{
		"https://s3.eu-central-1.amazonaws.com/files?region=eu-central-1": {
			Endpoint: "https://s3.eu-central-1.amazonaws.com", Bucket: "files", Region: "eu-central-1"},
		"http://127.0.0.1:9000/files/a/b": {Endpoint: "http://127.0.0.1:9000", Bucket: "files",
			Prefix: "a/b", PathStyle: true},
	} {
		got, err := (&settings{artifactsS3: text}).artifacts(config.Artifacts{})
		if diff := cmp.Diff(want, got.S3, cmp.AllowUnexported(config.Secret{})); diff != "" || err != nil {
			t.Errorf("%s: %s, %v", text, diff, err)
		}
	}
	for _, text := range []string{
		"files", "s3://files", "https://host", "https://host/", "https://key:secret@host/files", "https://host/files?regio=x",
		"https://host/files?region=x&a=b", "https://host/files?%zz",
	} {
		_, err := (&settings{artifactsS3: text}).artifacts(config.Artifacts{})
		if err == nil || !strings.Contains(err.Error(), "--artifacts-bucket") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := (&settings{artifactsS3: "https://h/b", artifactsDir: "x"}).artifacts(config.Artifacts{}); err == nil {
		t.Error("both are taken")
	}
	file := config.Artifacts{MaxBytes: 7, S3: config.S3{Endpoint: "https://h", Bucket: "b", Region: "r"}}
	if got, err := (&settings{artifactsDir: "x"}).artifacts(file); err != nil ||
		got.Dir != "x" || got.S3 != (config.S3{}) ||
		got.MaxBytes != 7 {
		t.Errorf("a directory over the file's bucket: %+v, %v", got, err)
	}
	file = config.Artifacts{MaxUserBytes: 5}
	for flag, want := range map[config.Bytes]config.Bytes{0: 5, 9: 9} {
		if got, err := (&settings{artifactsUser: flag}).artifacts(file); err != nil || got.MaxUserBytes != want {
			t.Errorf("a flag of %d over the file's 5: %d, %v", flag, got.MaxUserBytes, err)
		}
	}
	for _, text := range []string{"0", "-1", "1.5GiB", "many", ""} {
		got := run(t, []string{"up", "--artifacts-max-user-bytes", text})
		if got.code != exitUsage || !strings.Contains(got.stderr, "--artifacts-max-user-bytes") {
			t.Errorf("%q: %+v", text, got)
		}
	}
	file = config.Artifacts{Dir: "x"}
	if got, err := (&settings{artifactsS3: "https://h/b"}).artifacts(file); err != nil ||
		got.Dir != "" || got.S3.Bucket != "b" {
		t.Errorf("a bucket over the file's directory: %+v, %v", got, err)
	}
}

// TestLargeResultsAndFilesUnderUp: a result that is too large for an event comes back whole.
func TestLargeResultsUnderUp(t *testing.T) {
	s := startUp(t, t.TempDir())
	text := strings.Repeat("y", 400_000)
	got := runWith(t.Context(), strings.NewReader(`{"text":"`+text+`"}`),
		[]string{"submit", "--mode", "debug", "--service", "echo",
			"--name", "echo", "--task-id", "big", "--input", "-", "--wait", "-o", "json"}, "TASKLANE_SERVER="+s.api,
		"TASKLANE_NOTIFIER="+s.notifier, "TASKLANE_USER=alice")
	if got.code != exitFine || !strings.Contains(got.stdout, text) {
		t.Errorf("%d: %.200s, %.500s", got.code, got.stdout, got.stderr)
	}
	if state := s.do(t, "get", "big", "-o", "jsonl"); !strings.Contains(state.stdout, `"result_artifact"`) {
		t.Errorf("the state: %.300s", state.stdout)
	}
}
