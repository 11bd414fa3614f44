package query_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/query"
)

var allowed = []string{"user_id", "status", "since", "limit"}

func TestParse(t *testing.T) {
	for raw, want := range map[string]url.Values{
		"":                              {},
		"user_id=alice":                 {"user_id": {"alice"}},
		"user_id=team%3B7&limit=5":      {"user_id": {"team;7"}, "limit": {"5"}},
		"user%5Fid=a":                   {"user_id": {"a"}},
		"since=a+b%2Bc":                 {"since": {"a b+c"}},
		"user_id=a=b?c":                 {"user_id": {"a=b?c"}},
		"&user_id=%E5%BC%A0&&status=x&": {"user_id": {"张"}, "status": {"x"}},
	} {
		got, err := query.Parse(raw, allowed...)
		if err != nil {
			t.Errorf("Parse(%q): %v", raw, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", raw, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for raw, want := range map[string]struct{ field, says, nearest string }{
		"user_id=team;7":              {"user_id", "write %3B", ""},
		"status=x;user_id=team":       {"status", "write %3B", ""},
		"limit=5&user_id=100%":        {"user_id", "write %25", ""},
		"user_id=%zz":                 {"user_id", "write %25", ""},
		"user%id=a":                   {"user%id", "write %25", ""},
		"user_id=%ff":                 {"user_id", "UTF-8", ""},
		"%ff=1":                       {"\uFFFD", "UTF-8", ""},
		"=alice":                      {"", "no name", ""},
		"user_id=a&user_id=b":         {"user_id", "more than once", ""},
		"user_id=a&user%5Fid=a":       {"user_id", "more than once", ""},
		"user_id&user_id=":            {"user_id", "is empty", ""},
		"user_id":                     {"user_id", "is empty", ""},
		"limit=5&since=":              {"since", "leave it out", ""},
		"status=+&user%5Fid=":         {"user_id", "is empty", ""},
		"user=alice":                  {"user", `Did you mean "user_id"`, "user_id"},
		"user_id=alice&state=running": {"state", `Did you mean "status"`, "status"},
		"USER_ID=alice":               {"USER_ID", `Did you mean "user_id"`, "user_id"},
		"user_id[]=alice":             {"user_id[]", `Did you mean "user_id"`, "user_id"},
		"+user_id=alice":              {" user_id", `Did you mean "user_id"`, "user_id"},
		"xylophone=1":                 {"xylophone", "Known are user_id, status, since, limit.", ""},
	} {
		values, err := query.Parse(raw, allowed...)
		var invalid *query.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("Parse(%q) = %v, %v; want it refused", raw, values, err)
			continue
		}
		if invalid.Field != want.field || !strings.Contains(invalid.Detail, want.says) || invalid.Nearest != want.nearest {
			t.Errorf("Parse(%q) = %+v; want field %q, nearest %q and %q", raw, invalid, want.field, want.nearest, want.says)
		}
	}
	if _, err := query.Parse("pretty=1"); err == nil || !strings.Contains(err.Error(), "takes none") {
		t.Errorf("where nothing is allowed: %v", err)
	}
}

func TestParseOpen(t *testing.T) {
	if got, err := query.ParseOpen("EIO=4&their=own&user=", "EIO", "sid"); err != nil || len(got) != 3 {
		t.Errorf("a client's own parameters: %v, %v", got, err)
	}
	for _, raw := range []string{"EIO=4&EIO=4", "EIO=4;x=1", "t=%", "EIO=4&sid="} {
		if got, err := query.ParseOpen(raw, "EIO", "sid"); err == nil {
			t.Errorf("ParseOpen(%q) = %v; want it refused", raw, got)
		}
	}
}

// What is taken is what was meant: it says the same when it is written again.
func TestParseTakesWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make(url.Values)
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(allowed), rapid.ID[string]).Draw(t, "names") {
			want.Set(name, rapid.StringN(1, -1, -1).Draw(t, name))
		}
		got, err := query.Parse(want.Encode(), allowed...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("user_id=team;7&limit=5")
	f.Add("user_id=%zz&&=x")
	f.Add(strings.Repeat("a", 1000) + "=1")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := query.Parse(raw, allowed...)
		var invalid *query.InvalidError
		switch {
		case err == nil:
			standard, problem := url.ParseQuery(raw)
			if diff := cmp.Diff(standard, got); problem != nil || diff != "" {
				t.Fatalf("the standard library reads %q differently (-standard +got): %v\n%s", raw, problem, diff)
			}
		case !errors.As(err, &invalid):
			t.Fatalf("%q: %v", raw, err)
		case !utf8.ValidString(invalid.Field) || !utf8.ValidString(invalid.Detail) || len(invalid.Detail) > 600:
			t.Fatalf("%q gives an answer that cannot be sent: %q", raw, invalid.Detail)
		}
	})
}
