package schemas

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestSameValue(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	tests := map[string]struct {
		a, b string
		same bool
	}{
		"order":                                  {`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3,"c":2},"a":1}`, true},
		"white space":                            {`{"a": [1, 2]}`, `{"a":[1,2]}`, true},
		"spelling of strings":                    {`{"é":"/"}`, `{"\u00e9":"\/"}`, true},
		"order by spelling":                      {`{"b":1,"\u0061":2}`, `{"a":2,"b":1}`, true},
		"fraction of nothing":                    {`1`, `1.0`, true},
		"exponent":                               {`[100,1e2,0.001]`, `[1E+2,100.0,1e-3]`, true},
		"zeros":                                  {`[0,0.0,-0]`, `[-0.000,0e99999999999999999999,0]`, true},
		"equal as floats":                        {`{"n":0.1}`, `{"n":0.10000000000000000001}`, false},
		"beyond 2^53":                            {`9007199254740992`, `9007199254740993`, false},
		"beyond in floats":                       {`9007199254740993.0`, `9007199254740992`, false},
		"beyond all floats":                      {`1e400`, `2e400`, false},
		"below all floats":                       {`1e-400`, `0`, false},
		"an exponent that would fill the memory": {`1e999999999`, `10e999999998`, true},
		"and its neighbour":                      {`1e999999999`, `1e999999998`, false},
		"an exponent that is no number":          {`1e99999999999999999999`, `1e99999999999999999998`, false},
		"its sign":                               {`1e99999999999999999999`, `1e-99999999999999999999`, false},
		"a million digits":                       {long, long + "e0", true},
		"and one more":                           {long, long + ".1", false},
		"sign":                                   {`-1`, `1`, false},
		"string and number":                      {`"1"`, `1`, false},
		"null and nothing":                       {`{"a":null}`, `{}`, false},
		"nesting":                                {`[[1],2]`, `[[1,2]]`, false},
		"case":                                   {`{"A":1}`, `{"a":1}`, false},
		"a prefix":                               {`[1]`, `[1,2]`, false},
		"no JSON":                                {`{`, `{`, false},
		"twice":                                  {`{"a":1,"a":2,"b":0}`, `{"a":1,"a":2,"b":1}`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := jsontext.Value(tt.a), jsontext.Value(tt.b)
			var got, back bool
			took := rapidtest.CPU(t, func() { got, back = SameValue(a, b), SameValue(b, a) })
			if got != tt.same || back != tt.same {
				t.Errorf("got %v, and %v the other way round", got, back)
			}
			if took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if string(a) != tt.a || string(b) != tt.b {
				t.Error("a value was changed")
			}
		})
	}
}

// TestSameNumberIsExact compares with arithmetic of arbitrary precision.
func TestSameNumberIsExact(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := SameValue(jsontext.Value(a), jsontext.Value(b)), x.Cmp(y) == 0; got != want {
			t.Errorf("%s and %s: got %v", a, b, got)
		}
	})
}
