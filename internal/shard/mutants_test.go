//go:build mutants

package shard

import (
	"testing"

	"github.com/aiecs/tasklane/internal/mutation"
)

// TestMutants takes each rule of the protocol out; the tests that try orders of
// events have to notice:
//
//	go test -tags mutants -run TestMutants -v ./internal/shard
func TestMutants(t *testing.T) {
	mutation.Suite{Mutants: mutants(), By: "^(TestExplore|TestWalk|TestWalkRapid)$"}.Run(t)
}
