//go:build mutants

package runqueue

import (
	"testing"

	"github.com/aiecs/tasklane/internal/mutation"
)

// TestMutants lets suspects run beside each other, in every way there is.
func TestMutants(t *testing.T) {
	mutation.Suite{By: "^(TestSuspects|TestAgainstTheModel)", Mutants: []mutation.Mutant{
		{Rule: "suspects: the gate lets one through", Edits: []mutation.Edit{
			{"gate.go", "\tif g.busy {\n\t\tg.await(q)\n\t\treturn false\n\t}\n", ""}}},
		{Rule: "suspects: the gate is asked", Edits: []mutation.Edit{
			{"pick.go", "\treturn !c.suspect || q.config.Gate.enter(q)\n", "\treturn true\n"}}},
		{Rule: "suspects: only a suspect frees the gate", Edits: []mutation.Edit{
			{"queue.go", "if q.done(i, q.now()) && i.Suspect {", "if q.done(i, q.now()) {"}}},
		{Rule: "suspects: the gate is freed", Edits: []mutation.Edit{
			{"gate.go", "\tg.busy = false\n", ""}}},
		{Rule: "suspects: those that wait are told", Edits: []mutation.Edit{
			{"gate.go", "\twaiting := g.waiting\n", "\tvar waiting []*Queue[any]\n"}}},
		{Rule: "suspects: the queues of a process share a gate", Edits: []mutation.Edit{
			{"queue.go", "\tif c.Gate == nil {\n", "\tif true {\n"}}},
	}}.Run(t)
}
