package api_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/aiecs/tasklane/schemas"
)

func TestMisspeltMembersAreRefused(t *testing.T) {
	w := newWorld(t)
	for members, meant := range map[string]string{
		`"not_befor":"2030-01-01T00:00:00Z"`:  "not_before",
		`"notBefore":"2030-01-01T00:00:00Z"`:  "not_before",
		`"retry":{"max_atempts":9}`:           "retry.max_attempts",
		`"retry":{"backof_ms":9}`:             "retry.backoff_ms",
		`"max_attempts":9`:                    "retry.max_attempts",
		`"time_limit":5`:                      "time_limit_ms",
		`"soft_time_limit":5`:                 "soft_time_limit_ms",
		`"prio":9`:                            "priority",
		`"lable":{"a":"b"}`:                   "labels",
		`"call_back_url":"https://a.example"`: "callback_url",
		`"lanes":"heavy"`:                     "lane",
		`"inputData":{}`:                      "input_data",
	} {
		w.Post(task(members)).Expect(t, 422, `Did you mean \"`+meant+`\"?`, "Prefer: handling=lenient", `"field":"`)
		w.Post(task(members), "Prefer", "handling=strict, handling=lenient").Expect(t, 422)
	}
	w.Post(task(`"unique":{"ttl":9}`)).Expect(t, 422, "unique has ttl_ms and key")
	w.Post(task(`"colour":"red"`)).Expect(t, 422, `"field":"colour"`)
	w.Post(task(`"colour":"red","retry":{"jitter":true}`)).Expect(t, 422, `"errors":[{"field":"retry.jitter"`)
	for _, preference := range []string{"handling=lenient", `Handling="lenient"`, "wait=5, handling = lenient; a=b"} {
		w.Post(task(`"colour":"red"`), "Prefer", preference).Expect(t, 202, `"unknown_fields":["colour"]`)
	}
	if n := len(w.Records("fast")); n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestDotIDsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{".", ".."} {
		w.Post(task(`"task_id":"`+id+`"`)).Expect(t, 422, `"field":"task_id"`, "must not be . or ..")
	}
	w.Post(task(`"task_id":"..."`)).Expect(t, 202)
	w.Get("/v1/tasks/...").Expect(t, 200)
}

// Behind a proxy that serves the API below a path of its own the Location leads to the
// task there.
func TestLocationHoldsBehindAPathPrefix(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"t1", "a:b~@c.d", "..."} {
		r := w.Post(task(`"task_id":"`+id+`"`)).Expect(t, 202)
		reference, err := url.Parse(r.Header.Get("Location"))
		must(t, err)
		sent, err := url.Parse("https://example.org/ai/v1/tasks")
		must(t, err)
		got := sent.ResolveReference(reference)
		if got.Host != "example.org" || got.Path != "/ai/v1/tasks/"+id || got.Query().Get("user_id") != "ada" {
			t.Errorf("location %q leads to %s", r.Header.Get("Location"), got)
		}
		w.Get(r.Location()).Expect(t, 200)
	}
}

// Who comes from Celery, or another queue, reads what its words are called here.
func TestOtherWordsForMembers(t *testing.T) {
	w := newWorld(t)
	for theirs, ours := range map[string]string{
		"eta": "not_before", "countdown": "not_before", "expires": "expires_at", "max_retries": "retry.max_attempts",
		"link": "callback_url", "args": "input_data", "kwargs": "input_data", "queue": "lane", "id": "task_id",
		"task": "task_name",
	} {
		r := w.Post(task(`"`+theirs+`":1`)).Expect(t, 422, `Did you mean \"`+ours+`\"?`)
		if r.Text("field") != theirs {
			t.Errorf("%s: %s", theirs, r.Raw)
		}
	}
	w.Post(`{"queue":"fast","user_id":"ada","task_name":"n","mode":"m","service":"s"}`).
		Expect(t, 422, `"field":"lane"`, `what \"queue\" is called here`)
}

func TestBodiesInOtherForms(t *testing.T) {
	w := newWorld(t)
	plain := task(`"task_id":"t1"`)
	wide := func(order func(uint16) [2]byte) string {
		var b strings.Builder
		for _, unit := range utf16.Encode([]rune(plain)) {
			two := order(unit)
			b.Write(two[:])
		}
		return b.String()
	}
	big := wide(func(u uint16) [2]byte { return [2]byte{byte(u >> 8), byte(u)} })
	little := wide(func(u uint16) [2]byte { return [2]byte{byte(u), byte(u >> 8)} })
	for _, tt := range []struct{ body, says string }{
		{"\xef\xbb\xbf" + plain, "byte order mark"},
		{"\xfe\xff" + big, "UTF-16"}, {"\xff\xfe" + little, "UTF-16"}, {big, "UTF-16"}, {little, "UTF-16"},
		{zip(plain), "Content-Encoding: gzip"},
	} {
		w.Post(tt.body).Expect(t, 400, tt.says)
		w.Do("POST", "/v1/controls", tt.body).Expect(t, 400, tt.says)
		w.Do("POST", "/v1/tasks/t1/cancel", tt.body).Expect(t, 400, tt.says)
	}
	bomb := zip(`{"x":"` + strings.Repeat("x", 8*schemas.MaxTaskBytes) + `"}`)
	w.Post(bomb, "Content-Encoding", "gzip").Expect(t, 413)
	w.Do("POST", "/v1/controls", bomb, "Content-Encoding", "gzip").Expect(t, 413)
	w.Post(plain, "Content-Encoding", "gzip").Expect(t, 400, "said to be gzip and is plain JSON")
	w.Post("x\x9c\xabV*I,\xce", "Content-Encoding", "gzip").Expect(t, 400, "said to be gzip and is zlib")
	for body, says := range map[string]string{
		"x\x9c\xabV*I,\xce\xce": "zlib (deflate)", "x\xda\xabV*I": "zlib (deflate)", "\x28\xb5\x2f\xfd\x04": "zstd",
		"\x0b\x02\x80{\"a\":1}\x03": "Brotli", "\x04\x22\x4d\x18@@": "LZ4",
	} {
		w.Post(body).Expect(t, 400, says, "Content-Encoding: gzip")
		w.Do("POST", "/v1/controls", body).Expect(t, 400, says, "Content-Encoding: gzip")
	}
	for encoding, says := range map[string]string{
		"br": "br (Brotli)", "deflate": "deflate (zlib)", "zstd": "zstd", "ZSTD": "zstd", "compress": "compress",
		"gzip, br": `gzip, br`, "x-own": "x-own",
	} {
		w.Post(plain, "Content-Encoding", encoding).Expect(t, 415, says, "Content-Encoding: gzip")
		w.Do("POST", "/v1/controls", plain, "Content-Encoding", encoding).Expect(t, 415, says)
	}
	w.Post(zip(plain)[:40], "Content-Encoding", "gzip").Expect(t, 400, "cut off")
	r := w.Post(plain, "Content-Encoding", "br").Expect(t, 415, "gzip")
	if r.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("accepts %q", r.Header.Get("Accept-Encoding"))
	}
	if n := len(w.Records("fast")); n != 0 {
		t.Errorf("%d records", n)
	}
	w.Post(zip(plain), "Content-Encoding", "gzip").Expect(t, http.StatusAccepted)
	w.Post(plain, "Content-Encoding", "identity").Expect(t, 202)
	w.Get("/v1/tasks/t1").Expect(t, 200)
}

func zip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text)) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.String()
}
