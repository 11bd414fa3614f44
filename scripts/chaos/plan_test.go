package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

// drawn is the start of a plan: names, and a number from each one's randomness.
func drawn(seed uint64, chosen []fault, count int) (names []string, numbers []uint64) {
	p := newPlan(seed, chosen)
	for range count {
		f, random := p.next()
		names, numbers = append(names, f.name), append(numbers, random.Uint64())
	}
	return names, numbers
}

func TestPlanFollowsFromItsSeed(t *testing.T) {
	all := faults()
	names, numbers := drawn(7, all, 3*len(all))
	again, same := drawn(7, all, 3*len(all))
	if !slices.Equal(names, again) || !slices.Equal(numbers, same) {
		t.Error("the same seed gave two plans")
	}
	if other, _ := drawn(8, all, 3*len(all)); slices.Equal(names, other) {
		t.Error("two seeds gave the same plan")
	}
	for round := range 3 {
		part := slices.Clone(names[round*len(all) : (round+1)*len(all)])
		slices.Sort(part)
		if got := slices.Compact(part); len(got) != len(all) {
			t.Errorf("round %d has %d of %d faults", round, len(got), len(all))
		}
	}
}

func TestChoose(t *testing.T) {
	one, three := &config{broker: "embedded", nodes: 1}, &config{broker: "kafka", nodes: 3, delays: true, cancels: true}
	for _, c := range []struct {
		config *config
		names  string
		count  int
		err    string
	}{
		{one, "", len(faults()) - 4, ""},   // without node-kill, partitions, waits and cancel
		{three, "", len(faults()) - 3, ""}, // without those that restart the only broker, and bit-flip
		{one, "kill, none", 2, ""},
		{one, "kil", 0, "no fault"},
		{one, "node-kill", 0, "-nodes 3"},
		{one, "waits", 0, "-delays"},
		{three, "broker-kill", 0, "-nodes 1"},
	} {
		got, err := choose(c.config, c.names)
		if len(got) != c.count && err == nil || (err == nil) != (c.err == "") || err != nil &&
			!strings.Contains(err.Error(), c.err) {
			t.Errorf("%q with %d nodes: %d faults, %v", c.names, c.config.nodes, len(got), err)
		}
	}
}

// TestFaultsSayWhatTheyAre: the table of the document is kept by hand.
func TestFaultsSayWhatTheyAre(t *testing.T) {
	document, err := os.ReadFile("../../docs/CHAOS.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range faults() {
		if f.does == "" || f.evidence == "" || (f.run == nil) == (f.apart == nil) || seen[f.name] {
			t.Errorf("fault %q is not whole, or there are two", f.name)
		}
		seen[f.name] = true
		if !strings.Contains(string(document), "`"+f.name+"`") {
			t.Errorf("docs/CHAOS.md does not name fault %s", f.name)
		}
	}
}

// TestMix: the load is what the checker can read, and nothing in it ends a
// process.
func TestMix(t *testing.T) {
	m := &mix{random: rand.New(rand.NewPCG(1, 1)), config: &config{users: 5, delays: true}}
	names := map[string]int{}
	ids := map[string]bool{}
	for range 5000 {
		var members struct {
			TaskID   string `json:"task_id"`
			TaskName string `json:"task_name"`
		}
		next := m.next()
		if err := json.Unmarshal(next.encode(), &members); err != nil || members.TaskID != next.id || ids[next.id] {
			t.Fatalf("%s: %v", next.encode(), err)
		}
		ids[next.id] = true
		names[members.TaskName]++
	}
	if len(names) != 7 || names["exit"] > 0 {
		t.Errorf("the mix is %v", names)
	}
}

func TestPhases(t *testing.T) {
	start := time.Now()
	a := &arena{phases: []phase{{from: start}, {from: start.Add(time.Second)}, {from: start.Add(time.Minute)}}}
	for after, want := range map[time.Duration]int{-time.Hour: 0, 0: 0, time.Millisecond: 0, time.Second: 1,
		59 * time.Second: 1, time.Minute: 2, time.Hour: 2} {
		if got := a.phaseOf(start.Add(after)); got != want {
			t.Errorf("%v after the start is phase %d, want %d", after, got, want)
		}
	}
}

func TestReadTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace")
	read := func() (all []checker.Start, err error) {
		err = readTrace(file, func(s checker.Start) { all = append(all, s) })
		return all, err
	}
	if got, err := read(); err != nil || len(got) > 0 {
		t.Errorf("no trace: %v, %v", got, err)
	}
	line := `{"pid":7,"user_id":"u","task_id":"t","lane":"fast","attempt":2,"at_ms":5}` + "\n"
	if err := os.WriteFile(file, []byte(line+line), 0o600); err != nil {
		t.Fatal(err)
	}
	want := checker.Start{PID: 7, UserID: "u", TaskID: "t", Lane: "fast", Attempt: 2, AtMS: 5}
	if got, err := read(); err != nil || len(got) != 2 || got[1] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := os.WriteFile(file, []byte(line+"{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("half a line was taken")
	}
}
