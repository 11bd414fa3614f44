package schemas

import (
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func anyPlace(t *rapid.T) Place {
	return Place{
		Topic:     rapid.StringMatching(`[A-Za-z0-9._-]{1,20}`).Draw(t, "topic"),
		Partition: rapid.Int32Min(0).Draw(t, "partition"),
		Offset:    rapid.Int64Min(0).Draw(t, "offset"),
	}
}

// TestPlaceRoundTrip: text and JSON give the place again.
func TestPlaceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlace(t)
		if got, err := ParsePlace(p.String()); err != nil || got != p {
			t.Fatalf("%s: %+v, %v; want %+v", p, got, err, p)
		}
		encoded, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got Place
		if err := json.Unmarshal(encoded, &got); err != nil || got != p {
			t.Fatalf("%s: %+v, %v; want %+v", encoded, got, err, p)
		}
		source := Source{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, Wait: "1-2"}
		if source.Place() != p {
			t.Fatalf("a source's place is %s, want %s", source.Place(), p)
		}
	})
}

// TestParsePlaceHasOneForm: whatever is read is written in the same way again.
func TestParsePlaceHasOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z.]{0,3}/?[-+]?[0-9]{0,3}@?[-+]?[0-9]{0,20}`).Draw(t, "text")
		if p, err := ParsePlace(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %s", text, p)
		}
	})
}

func TestParsePlaceRefuses(t *testing.T) {
	for _, text := range []string{
		"", "tasks.fast", "tasks.fast/3", "tasks.fast@3", "/3@17", "tasks.fast/-1@17", "tasks.fast/3@-1", "tasks.fast/+3@17",
		"tasks.fast/03@17", "tasks.fast/3@017", "tasks.fast/2147483648@1", "tasks.fast/3@9223372036854775808",
		"tasks.fast/3@17@1",
		"tasks.fast/3/4@17", "tasks.fast/3@ 17", "tasks.fast/3@0x11",
	} {
		if p, err := ParsePlace(text); err == nil {
			t.Errorf("%q is taken as %s", text, p)
		}
	}
	if (Place{}).Valid() || (Place{Topic: "t", Partition: -1}).Valid() || (Place{Topic: "t", Offset: -1}).Valid() {
		t.Error("a place where no record can stand is valid")
	}
}
