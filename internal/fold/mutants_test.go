//go:build mutants

package fold

import (
	"testing"

	"github.com/aiecs/tasklane/internal/mutation"
)

// foldMutants are the rules, each with the edit that takes it out.
func foldMutants() []mutation.Mutant {
	return []mutation.Mutant{
		{Rule: "fold: a lower epoch is dropped", Edits: []mutation.Edit{{"fold.go", "case epoch < s.Epoch:",
			"case epoch < 0:"}}},
		{Rule: "fold: an epoch beyond the record's own time does not take over", Edits: []mutation.Edit{
			{"fold.go", "case epoch > s.Epoch && epoch > Reach(appended):", "case false:"}}},
		{Rule: "fold: the margin is what is said", By: "^TestState", Edits: []mutation.Edit{
			{"fold.go", "return appended + Margin.Milliseconds()", "return appended + 2*Margin.Milliseconds()"}}},
		{Rule: "fold: an owner goes on when the broker's clock is set back", By: "^TestState", Edits: []mutation.Edit{
			{"fold.go", "case epoch > s.Epoch && epoch > Reach(appended):", "case epoch > Reach(appended):"}}},
		{Rule: "fold: a repeated seq is dropped", Edits: []mutation.Edit{{"fold.go",
			"epoch == s.Epoch && seq <= s.Seq:", "epoch == s.Epoch && seq < 0:"}}},
	}
}

// TestMutants takes each rule of the fold out; its tests have to notice:
//
//	go test -tags mutants -run TestMutants -v ./internal/fold
func TestMutants(t *testing.T) {
	mutation.Suite{Mutants: foldMutants(), By: "^(TestState|TestFold)"}.Run(t)
}
