package schemas

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawUsage(t *rapid.T) Usage {
	n := func() int64 {
		return rapid.OneOf(rapid.Int64Range(0, 1e6), rapid.Just(int64(math.MaxInt64))).Draw(t, "n")
	}
	u := Usage{
		Model: rapid.SampledFrom([]string{"", "a", "b", "c, d"}).Draw(t, "model"), InputTokens: n(), CachedTokens: n(),
		CacheWriteTokens: n(), OutputTokens: n(), ReasoningTokens: n(), Estimated: rapid.Bool().Draw(t, "estimated"),
		CacheWrite1hTokens: n(), Tier: rapid.SampledFrom([]string{"", "flex"}).Draw(t, "tier"),
		Provider: rapid.SampledFrom([]string{"", "openai", "xai"}).Draw(t, "provider"),
	}
	if u.Model == "" {
		return Usage{}
	}
	if rapid.Bool().Draw(t, "known") {
		u.CostPicodollars = new(n())
	}
	return u
}

// TestTotalsDoNotDependOnTheirGrouping: attempts and requests may be summed up in any groups, and nothing is lost.
func TestTotalsDoNotDependOnTheirGrouping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawUsage(t), drawUsage(t), drawUsage(t)
		left, right := a.Plus(b).Plus(c), a.Plus(b.Plus(c))
		if diff := cmp.Diff(left, right); diff != "" {
			t.Fatalf("%+v, %+v, %+v:\n%s", a, b, c, diff)
		}
		if left.Negative() {
			t.Fatalf("%+v is negative", left)
		}
		for _, part := range []Usage{a, b, c} {
			if part.Model != "" && part.CostPicodollars == nil && left.CostPicodollars != nil {
				t.Fatalf("the cost %d stands for one that is unknown", *left.CostPicodollars)
			}
			if part.Estimated && !left.Estimated {
				t.Fatal("an estimate has become a fact")
			}
		}
		if total := Total(&a, nil, &b, &c); total == nil != (left.Model == "") || total != nil && !cmp.Equal(*total, left) {
			t.Fatalf("Total is %+v, want %+v", total, left)
		}
	})
}

func TestTotalNamesModelsOnce(t *testing.T) {
	cost := int64(5)
	got := Total(&Usage{Model: "a", Provider: "x", CostPicodollars: &cost}, &Usage{Model: "b", Provider: "x"},
		&Usage{Model: "a", Provider: "y", InputTokens: 1})
	if want := (&Usage{Model: "a, b", Provider: "x, y", InputTokens: 1}); !cmp.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if Total(nil, nil) != nil || cost != 5 {
		t.Errorf("the total of nothing is %+v, the cost has become %d", Total(nil, nil), cost)
	}
}
