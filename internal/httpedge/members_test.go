package httpedge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/auth"
)

func TestUnknownMembers(t *testing.T) {
	for object, want := range map[string][2]string{
		`{"usr_id":"a"}`: {"usr_id", `Did you mean "user_id"?`}, `{"maxAttempts":1}`: {"maxAttempts",
			`Did you mean "retry.max_attempts"?`},
		`{"colour":1,"usr_id":2}`: {"colour", `There is no member "colour".`}, `{"us\u0065r":1}`: {"user",
			`Did you mean "user_id"?`},
	} {
		bad := UnknownMembers(jsontext.Value(object), "user_id", "retry", "retry.max_attempts")
		if bad == nil || bad.Status != http.StatusUnprocessableEntity || bad.Field != want[0] ||
			!strings.Contains(bad.Detail, want[1]) {
			t.Errorf("%s: %+v", object, bad)
		}
	}
	for _, object := range []string{"", "{}", "null"} {
		if bad := UnknownMembers(jsontext.Value(object), "user_id"); bad != nil {
			t.Errorf("%s: %+v", object, bad)
		}
	}
}

// A client's own members are let through, but for one that is nearly a known one which was not said.
func TestMisspeltMember(t *testing.T) {
	for object, want := range map[string]string{
		`{"usr_id":"a"}`: "user_id", `{"colour":1,"sincee":"now"}`: "since", `{"taskId":"t"}`: "", `{"colour":1}`: "", ``: "",
	} {
		bad := MisspeltMember(jsontext.Value(object), []string{"task_id"}, "user_id", "task_id", "since")
		if (bad == nil) != (want == "") || bad != nil && !strings.Contains(bad.Detail, `Did you mean "`+want+`"?`) {
			t.Errorf("%s: %+v, want %q", object, bad, want)
		}
	}
}

// Whatever is sent as a name, the refusal is short, can be shown, and names only what is
// known.
func TestUnknownMemberProperty(t *testing.T) {
	known := []string{"user_id", "retry.max_attempts", "since"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringN(0, 500, 5000), rapid.SampledFrom([]string{"user", "retry.max",
			"..", "."})).Draw(t, "name")
		bad := UnknownMember(name, known...)
		if len(bad.Detail) > 1200 || utf8.RuneCountInString(bad.Field) > 120 {
			t.Fatalf("%d bytes, field of %d", len(bad.Detail), len(bad.Field))
		}
		recorder := httptest.NewRecorder()
		bad.Write(recorder)
		if recorder.Code != http.StatusUnprocessableEntity || !utf8.Valid(recorder.Body.Bytes()) {
			t.Fatalf("%d %q", recorder.Code, recorder.Body)
		}
	})
}

// A problem is an answer that a client can read, whatever is in it, and never a success.
func TestProblemProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\xff", "a\nb", `"`, "<script>"}))
		p := &Problem{
			Status: rapid.IntRange(-1, 700).Draw(t, "status"), Type: text.Draw(t, "type"), Title: text.Draw(t, "title"),
			Detail: text.Draw(t, "detail"),
			Field:  text.Draw(t, "field"), TaskID: text.Draw(t, "id"), RetryAfter: rapid.IntRange(0, 9).Draw(t, "retry"),
			More: jsontext.Value(rapid.SampledFrom([]string{"", `{}`, `{"code":3}`}).Draw(t, "more")),
		}
		before := *p
		recorder := httptest.NewRecorder()
		p.Write(recorder)
		var got Problem
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v", recorder.Body, err)
		}
		if recorder.Code < 400 || recorder.Code > 599 || got.Status != recorder.Code || got.Title == "" && p.Title == "" &&
			p.Status == 404 {
			t.Fatalf("%d %+v", recorder.Code, got)
		}
		if (p.RetryAfter > 0) != (recorder.Header().Get("Retry-After") != "") {
			t.Fatalf("%+v: %v", p, recorder.Header())
		}
		if p.Status != before.Status || p.Title != before.Title || p.Type != before.Type {
			t.Fatal("writing a problem changes it")
		}
	})
}

// Every reason for not letting somebody in is answered with its status, a challenge where
// a proof may help, and a time where one may come back.
func TestEveryRefusalIsAnswered(t *testing.T) {
	for _, reason := range []auth.Reason{
		auth.Missing, auth.Scheme, auth.Malformed, auth.TooLarge, auth.Algorithm, auth.UnknownKey, auth.NoKeyID,
		auth.Signature, auth.Expired,
		auth.NotYetValid, auth.WrongIssuer, auth.WrongAud, auth.BadSubject, auth.BadTicket, auth.LateTicket,
		auth.UsedTicket, auth.OtherUser,
		auth.AdminOnly, auth.KeysMissing, auth.KeysWaiting, auth.TicketsFull, auth.TokenInQuery,
	} {
		refused := &auth.RefusalError{Reason: reason}
		p := NotAuthorised(refused)
		if p.Status != refused.Status() || p.Detail == "" || p.Detail == string(reason) {
			t.Errorf("%s: %+v", reason, p)
		}
		if (p.Challenge != "") != (p.Status == http.StatusUnauthorized) ||
			(p.RetryAfter > 0) != (p.Status == http.StatusServiceUnavailable) {
			t.Errorf("%s: challenge %q, retry after %d", reason, p.Challenge, p.RetryAfter)
		}
		if (p.Field == "user_id") != (reason == auth.OtherUser) {
			t.Errorf("%s: field %q", reason, p.Field)
		}
		recorder := httptest.NewRecorder()
		p.Write(recorder)
		if recorder.Header().Get("WWW-Authenticate") != p.Challenge {
			t.Errorf("%s: %v", reason, recorder.Header())
		}
	}
}

func TestTemporary(t *testing.T) {
	for want, problems := range map[bool][]*Problem{
		true:  {Unavailable("x"), NewProblem(500, "x"), NewProblem(504, "x"), {Status: 401, Passes: true}},
		false: {Invalid("a", "x"), NewProblem(404, "x"), {Status: 401}, NewProblem(429, "x")},
	} {
		for _, p := range problems {
			if p.Temporary() != want {
				t.Errorf("%v: temporary %v", p, !want)
			}
		}
	}
	if p := TooMany("wait"); p.Status != http.StatusTooManyRequests || p.RetryAfter != RetryAfterSeconds {
		t.Errorf("%+v", p)
	}
}
