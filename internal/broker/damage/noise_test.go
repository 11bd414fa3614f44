package damage

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestNoiseInAnyFile: whatever stands in the small files, nothing panics, no record is lost,
// and a refusal names a file and what to do.
func TestNoiseInAnyFile(t *testing.T) {
	names := []string{topicsFile, topicsCopyFile, groupsFile, pidsFile, windowsFile, sessionFile, endsFile, sumsFile,
		metaFile, "snapshot"}
	rapid.Check(t, func(rt *rapid.T) {
		s := newStore(t, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), false)
		s.note(t)
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(rt, "files") {
			path := filepath.Join(s.dir, name)
			if name == "snapshot" {
				path = s.snapshot()
			}
			noise := rapid.OneOf(
				rapid.SliceOfN(rapid.Byte(), 0, 60),
				rapid.Map(rapid.SampledFrom([]string{`{}`, `null`, `[]`, `{"version":1,"topics":[]}`, `{"topics":null}`,
					`{"high_watermark":-5}`, "\n"}),
					func(text string) []byte { return []byte(text) }),
			).Draw(rt, name)
			write(t, path, noise)
		}
		if err := s.inspect(); err != nil {
			if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(err.Error(), name) }) ||
				!strings.Contains(err.Error(), "backup") {
				rt.Fatalf("%v", err)
			}
			return
		}
		if now, _ := s.read(t); len(s.missing(now)) > 0 {
			rt.Fatalf("%d batches are lost: %s", len(s.missing(now)), s.log)
		}
	})
}
