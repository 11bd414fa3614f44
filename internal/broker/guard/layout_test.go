package guard

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLayouts: whatever the encoder makes of requests with all fields in use, in
// every flexible version, has the form that is written down for it.
func TestLayouts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for key, a := range apis {
		if key == kmsg.Produce {
			continue
		}
		for version := range a.highest + 1 {
			for range 50 {
				req := kmsg.RequestForKey(int16(key))
				req.SetVersion(version)
				if !req.IsFlexible() {
					break
				}
				(&filler{rng: rng, honest: true}).fill(req)
				frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)[sizeBytes+fixedHeaderBytes:]
				r := reader{src: frame}
				r.nullableString()
				r.tags()
				layouts[int16(key)].walk(&r, version)
				if r.bad || len(r.src) > 0 {
					t.Fatalf("%s version %d: bad %t, %d bytes left of %+v", key.Name(), version, r.bad, len(r.src), req)
				}
			}
		}
	}
}

// TestTagsAreRefused: wherever they stand, however many they say they are.
func TestTagsAreRefused(t *testing.T) {
	for _, tags := range [][]byte{{1, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0x0f}} {
		frame := append([]byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0}, 2, 1, 0) // one topic without a name
		frame = append(frame[:len(frame)-2:len(frame)-2], make([]byte, 16)...)
		frame = append(frame, 0)
		frame = append(frame, tags...)
		if _, err := newTestGuard().checkRequest(frame, noTime); err == nil {
			t.Errorf("passed tags % x", tags)
		}
	}
}
