package openai_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
)

// upload sends a form: fields are names and values, the file's content that of "file".
func upload(w *producertest.World, fields ...string) producertest.Reply {
	w.T.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		var err error
		if name, is := strings.CutPrefix(fields[i], "file:"); is {
			part, made := form.CreateFormFile("file", name)
			err = made
			_, _ = part.Write([]byte(fields[i+1]))
		} else {
			err = form.WriteField(fields[i], fields[i+1])
		}
		producertest.Must(w.T, err)
	}
	producertest.Must(w.T, form.Close())
	return w.DoRaw("POST", root+"/files", body.String(), "Content-Type", form.FormDataContentType())
}

func TestFiles(t *testing.T) {
	w := producertest.New(t)
	first := upload(w, "purpose", "batch", "file:a.jsonl", "{}\n").Expect(t, 200, `"filename":"a.jsonl"`, `"bytes":3`,
		`"purpose":"batch"`, `"object":"file"`).Text("id")
	// The purpose may come behind the file, and the content be that of another.
	second := upload(w, "file:b.txt", "{}\n", "purpose", "user_data").Expect(t, 200).Text("id")
	third := upload(w, "purpose", "vision", "file:c.png", "", "expires_after[anchor]", "created_at",
		"expires_after[seconds]", "3600").Expect(t, 200, `"bytes":0`)
	if kept := third.Body["expires_at"].(float64) - third.Body["created_at"].(float64); kept != 3600 {
		t.Errorf("it is kept for %v s", kept)
	}
	w.Get(root+"/files/"+second).Expect(t, 200, `"filename":"b.txt"`)
	content := w.Get(root+"/files/"+first+"/content").Expect(t, 200)
	if string(content.Raw) != "{}\n" || !strings.Contains(content.Header.Get("Content-Security-Policy"), "sandbox") ||
		content.Header.Get("Content-Disposition") != "attachment" {
		t.Errorf("content %q, %v", content.Raw, content.Header)
	}
	w.Do("GET", root+"/files/"+first+"/content", "", "Range", "bytes=1-1").Expect(t, 206, "}")

	listed := func(query string) (ids []string) {
		for _, one := range w.Get(root+"/files"+query).Expect(t, 200).Body["data"].([]any) {
			ids = append(ids, one.(map[string]any)["id"].(string))
		}
		return ids
	}
	all := []string{third.Text("id"), second, first}
	for query, want := range map[string][]string{
		"": all, "?order=asc": {first, second, all[0]}, "?limit=2": all[:2], "?after=" + all[0]: all[1:],
		"?purpose=batch": {first}, "?purpose=none": nil, "?order=asc&after=" + second: all[:1],
	} {
		if got := listed(query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s lists %v, want %v", query, got, want)
		}
	}
	w.Get(root+"/files?limit=2").Expect(t, 200, `"has_more":true`, `"last_id":"`+second)

	// What another file has too is not lost with one.
	w.Do("DELETE", root+"/files/"+first, "").Expect(t, 200, `"deleted":true`)
	w.Get(root+"/files/"+first).Expect(t, 404, "invalid_request_error")
	w.Do("DELETE", root+"/files/"+first, "").Expect(t, 404)
	w.Get(root+"/files/"+second+"/content").Expect(t, 200, "{}")
	w.Stop()
	w.Start()
	if got := listed(""); fmt.Sprint(got) != fmt.Sprint(all[:2]) {
		t.Errorf("after a restart: %v", got)
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	store, _, err := artifact.New(artifact.Config{Dir: t.TempDir(), MaxFileBytes: 1000, MaxUserBytes: 2500})
	producertest.Must(t, err)
	w := producertest.New(t, func(c *producer.Config) { c.Artifacts = store })
	for name, tt := range map[string]struct {
		fields []string
		status int
		says   string
	}{
		"no file":     {[]string{"purpose", "batch"}, 400, `"param":"file"`},
		"no purpose":  {[]string{"file:a", "x"}, 400, `"param":"purpose"`},
		"purpose":     {[]string{"purpose", "fun", "file:a", "x"}, 400, `"param":"purpose"`},
		"field":       {[]string{"purpos", "batch", "file:a", "x"}, 400, `there is no field`},
		"two files":   {[]string{"purpose", "batch", "file:a", "x", "file:b", "x"}, 400, `there is no field`},
		"long field":  {[]string{"purpose", strings.Repeat("b", 2000), "file:a", "x"}, 400, "too long"},
		"parts":       {slicesOf(20, "purpose", "batch"), 400, "too many parts"},
		"name":        {[]string{"purpose", "batch", "file:" + strings.Repeat("a", 300), "x"}, 400, `"param":"file"`},
		"large":       {[]string{"purpose", "batch", "file:a", strings.Repeat("x", 1001)}, 413, "1000 bytes"},
		"anchor":      {[]string{"purpose", "batch", "file:a", "x", "expires_after[seconds]", "3600"}, 400, "anchor"},
		"seconds":     {keptFor("5"), 400, "expires_after.seconds"},
		"no seconds":  {keptFor("x"), 400, "expires_after.seconds"},
		"for a month": {keptFor("2592001"), 400, "expires_after.seconds"},
	} {
		t.Run(name, func(t *testing.T) { upload(w, tt.fields...).Expect(t, tt.status, tt.says, `"error":{`) })
	}
	w.DoRaw("POST", root+"/files", "x", "Content-Type", "text/plain").Expect(t, 415, "multipart/form-data")
	w.DoRaw("POST", root+"/files", "--b\r\nContent-Disp", "Content-Type", "multipart/form-data; boundary=b").
		Expect(t, 400, "cannot be read")
	for n := range 2 {
		upload(w, "purpose", "batch", "file:a", strings.Repeat(fmt.Sprint(n), 1000)).Expect(t, 200)
	}
	upload(w, "purpose", "batch", "file:a", strings.Repeat("2", 1000)).Expect(t, 429, "no room")
	for query, param := range map[string]string{"limit=0": "limit", "limit=x": "limit", "order=up": "order",
		"after=file-x": "after"} {
		w.Get(root+"/files?"+query).Expect(t, 400, `"param":"`+param)
	}
	for _, id := range []string{"file-none", "none", "file-..", "file-" + strings.Repeat("a", 400)} {
		w.Get(root+"/files/"+id).Expect(t, 404, `"error":{`)
	}
	if n := len(w.Get(root+"/files").Expect(t, 200).Body["data"].([]any)); n != 2 {
		t.Errorf("%d files are there", n)
	}
}

func keptFor(seconds string) []string {
	return []string{"purpose", "batch", "file:a", "x", "expires_after[anchor]", "created_at", "expires_after[seconds]",
		seconds}
}

func slicesOf(n int, pair ...string) (all []string) {
	for range n {
		all = append(all, pair...)
	}
	return all
}

// guarded is a world that asks for tokens, and who has them.
func guarded(t *testing.T) (*producertest.World, func(user string) []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	producertest.Must(t, os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600))
	minter, err := auth.NewSecretMinter(path)
	producertest.Must(t, err)
	w := producertest.New(t, func(c *producer.Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
	})
	return w, func(user string) []string {
		token, err := minter.Mint(auth.Grant{User: user, From: time.Now(), For: time.Hour})
		producertest.Must(t, err)
		return []string{"Authorization", "Bearer " + token}
	}
}

const boundForm = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n" +
	"Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n%s\r\n--b--\r\n"

// Files and batches are their users': for anybody else there are none.
func TestFilesAndBatchesAreTheirUsers(t *testing.T) {
	w, as := guarded(t)
	line := `{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","input":"x","user":"eve"}}`
	file := w.DoRaw("POST", root+"/files", fmt.Sprintf(boundForm, line), append(as("ada"), "Content-Type",
		"multipart/form-data; boundary=b")...).Expect(t, 200).Text("id")
	create := `{"input_file_id":"` + file + `","endpoint":"/v1/responses","completion_window":"24h"}`
	w.Do("POST", root+"/batches", create, as("bob")...).Expect(t, 400, `"param":"input_file_id"`)
	batch := w.Do("POST", root+"/batches", create, as("ada")...).Expect(t, 200).Text("id")
	for _, call := range [][2]string{{"GET", "/files/" + file}, {"GET", "/files/" + file + "/content"},
		{"DELETE", "/files/" + file}, {"GET", "/batches/" + batch}, {"POST", "/batches/" + batch + "/cancel"}} {
		w.Do(call[0], root+call[1], "", as("bob")...).Expect(t, 404)
		w.Do(call[0], root+call[1], "").Expect(t, 401)
	}
	for _, path := range []string{"/files", "/batches"} {
		w.Do("GET", root+path, "", as("bob")...).Expect(t, 200, `"data":[]`)
		w.Do("GET", root+path, "", as("ada")...).Expect(t, 200, `"has_more":false`, file)
	}
	// The task is the one's whose batch it is, whomever the line names.
	for within := producertest.Bounded(t); ; {
		producertest.Must(t, within.Err())
		if tasks := w.Do("GET", "/v1/tasks", "", as("ada")...).Body["tasks"].([]any); len(tasks) == 1 {
			return
		}
	}
}
