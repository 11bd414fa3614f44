package mcp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

func reported(percent float64, current, total int64) *schemas.Event {
	return &schemas.Event{Kind: schemas.KindProgress, Progress: &schemas.Progress{
		Percent: percent, Current: current, Total: total,
	}}
}

func TestProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		events []*schemas.Event
		want   string
	}{
		"counts":  {[]*schemas.Event{reported(0, 0, 3), reported(33, 1, 3), reported(100, 3, 3)}, "0/3 1/3 3/3"},
		"percent": {[]*schemas.Event{reported(10, 0, 0), reported(55.5, 0, 0)}, "10/100 55.5/100"},
		"falls": {[]*schemas.Event{reported(50, 0, 0), reported(50, 0, 0), reported(10, 0, 0), reported(60, 0, 0)},
			"50/100 60/100"},
		"a second attempt": {[]*schemas.Event{reported(0, 2, 3), {Kind: schemas.KindReset}, reported(0, 1, 3), reported(0,
			3, 3)},
			"2/3 3/3"},
		"more to do":    {[]*schemas.Event{reported(0, 1, 2), reported(0, 2, 5)}, "1/2 2/5"},
		"another scale": {[]*schemas.Event{reported(0, 1, 2), reported(80, 0, 0), reported(0, 2, 2)}, "1/2 2/2"},
		"percent, then": {[]*schemas.Event{reported(20, 0, 0), reported(40, 4, 10)}, "20/100 40/100"},
		"other kinds": {[]*schemas.Event{{Kind: schemas.KindState}, {Kind: schemas.KindProgress},
			{Kind: schemas.KindOutput}}, ""},
		"below nothing":  {[]*schemas.Event{reported(-5, 0, 0), reported(0, 0, 0)}, "-5/100 0/100"},
		"only the first": {[]*schemas.Event{reported(0, 0, 0)}, "0/100"},
	} {
		t.Run(name, func(t *testing.T) {
			p := progressOf(jsontext.Value(`"t"`))
			var got []string
			for _, e := range tt.events {
				p.take(e)
				if told := p.tell(); told != nil {
					got = append(got, fmt.Sprintf("%v/%v", told["progress"], told["total"]))
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("told %v, want %s", got, tt.want)
			}
		})
	}
}

// What is superseded before it could be told is left out.
func TestProgressIsPutTogether(t *testing.T) {
	p := progressOf(jsontext.Value(`7`))
	for i := range int64(10) {
		p.take(reported(0, i, 10))
	}
	told := p.tell()
	if told["progress"] != 9.0 || told["message"] != "9 of 10" || string(told["progressToken"].(jsontext.Value)) != "7" {
		t.Errorf("told %v", told)
	}
	if again := p.tell(); again != nil {
		t.Errorf("told again: %v", again)
	}
}

func TestProgressTokens(t *testing.T) {
	for token, want := range map[string]bool{
		`"a"`: true, `1`: true, `""`: true, ``: false, `null`: false, `1.5`: false, `{}`: false, `true`: false,
		`"` + strings.Repeat("x", maxTokenBytes) + `"`: false,
	} {
		p := progressOf(jsontext.Value(token))
		if (p != nil) != want {
			t.Errorf("%.20s: %v", token, p)
		}
		p.take(reported(1, 0, 0)) // nil takes and tells nothing
		if told := p.tell(); (told != nil) != want {
			t.Errorf("%.20s told %v", token, told)
		}
	}
}

func TestProgressText(t *testing.T) {
	for want, p := range map[string]*schemas.Progress{
		"12.5%": {Percent: 12.5}, "3 of 10": {Percent: 30, Current: 3, Total: 10},
		"3 of 10 pages": {Current: 3, Total: 10, Unit: "pages"}, "0%": {Current: 7},
	} {
		if got := progressText(p); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}
