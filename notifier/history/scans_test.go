package history

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aiecs/tasklane/internal/fold"
)

// Who waits for the log shares a scan with those who need about the same of it,
// and with nobody who needs much more.
func TestScansAreShared(t *testing.T) {
	const many = 10 * smallSpan
	type need struct{ next, target []int64 }
	for name, test := range map[string]struct {
		needs  []need
		groups [][]int // those of one scan, by their place in needs
	}{
		"the same": {
			[]need{{[]int64{0, 0}, []int64{many, many}}, {[]int64{0, 0}, []int64{many, many}},
				{[]int64{0, 0}, []int64{many, many}}},
			[][]int{{0, 1, 2}},
		},
		"about the same, to later targets": {
			[]need{{[]int64{0, 0}, []int64{many, many}}, {[]int64{many / 2, 0}, []int64{many + 5, many + 7}}},
			[][]int{{0, 1}},
		},
		"a little and everything": {
			[]need{{[]int64{0, 0}, []int64{many, many}}, {[]int64{many - 5, many}, []int64{many, many}},
				{[]int64{0, 1}, []int64{many, many}}},
			[][]int{{0, 2}, {1}},
		},
		"everything and a little": {
			[]need{{[]int64{many - 5, many}, []int64{many, many}}, {[]int64{0, 0}, []int64{many, many}},
				{[]int64{many, many - 9}, []int64{many, many}}},
			[][]int{{0, 2}, {1}},
		},
		"as much, of different partitions": {
			[]need{{[]int64{0, many, many}, []int64{many, many, many}}, {[]int64{many, 0, many}, []int64{many, many, many}},
				{[]int64{many, many, 0}, []int64{many, many, many}}},
			[][]int{{0, 1}, {2}},
		},
		"little is shared by all": {
			[]need{{[]int64{0}, []int64{smallSpan}}, {[]int64{smallSpan - 1}, []int64{smallSpan}}},
			[][]int{{0, 1}},
		},
		"a partition that is new": {
			[]need{{[]int64{0}, []int64{many}}, {[]int64{0, 0}, []int64{many, 3}}},
			[][]int{{0, 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(scans)
			for i, n := range test.needs {
				s.waiting = append(s.waiting, &member{replay: &replay{
					want: Filter{User: fmt.Sprint(i)}, next: n.next, target: n.target,
				}})
			}
			all := slices.Clone(s.waiting)
			var got [][]int
			for len(s.waiting) > 0 {
				c := s.gatherLocked()
				defer c.cancel()
				var group []int
				for i, m := range all {
					if m.scan == c {
						group = append(group, i)
					}
				}
				if c.left != len(group) || len(c.members()) != len(group) {
					t.Errorf("a scan of %d has %d members and counts %d", len(group), len(c.members()), c.left)
				}
				got = append(got, group)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.groups) {
				t.Errorf("got %v, want %v", got, test.groups)
			}
		})
	}
}

// A scan that has gone on for others is beyond where a member goes on.
func TestStartPointIsNotBeyondTheClient(t *testing.T) {
	for name, test := range map[string]struct {
		next, target, at int64
		known            bool
	}{
		"the scan is at the target":    {3, 10, 10, true},
		"the scan is before the place": {8, 10, 5, true},
		"the scan is before it all":    {3, 10, 3, true},
		"the scan is beyond":           {3, 10, 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(scans)
			m := &member{done: make(chan error, 1), replay: &replay{
				want: Filter{User: "u"}, next: []int64{test.next}, target: []int64{test.target}, starts: make([]startPoint, 1),
			}}
			c := s.newScan([]*member{m})
			c.at, c.parts = []int64{test.at}, []*part{{fold: fold.New(nil), from: place{offset: test.at}}}
			c.dismiss(m, nil)
			if err := <-m.done; err != nil {
				t.Error(err)
			}
			if want := max(test.next, min(test.at, test.target)); m.next[0] != want {
				t.Errorf("goes on at %d, want %d", m.next[0], want)
			}
			start := m.starts[0]
			if start.known != test.known || start.known && start.at.offset > m.next[0] {
				t.Errorf("its start point is %+v", start)
			}
		})
	}
}
