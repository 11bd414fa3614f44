package journal

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestOutboxModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var box outbox
		var model []pending
		at := State{1, 0}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			default:
				at.Seq++
				box.add(pending{at: at, offset: -1})
				model = append(model, pending{at: at, offset: -1})
			case 5:
				at = State{at.Epoch + rapid.Int64Range(1, 3).Draw(t, "epochs"), 1}
			case 6, 7, 8:
				if len(model) > 0 {
					if got := box.pop(); got != model[0] {
						t.Fatalf("pops %+v, want %+v", got, model[0])
					}
					model = model[1:]
				}
			case 9:
				model = checkTaken(t, &box, model)
			}
			checkOutbox(t, &box, model)
		}
	})
}

// checkTaken appends records without a stamp, as a doubt does, and empties the
// box.
func checkTaken(t *rapid.T, box *outbox, model []pending) []pending {
	box.add(pending{offset: -1})
	model = append(model, pending{offset: -1})
	checkOutbox(t, box, model)
	if got := box.take(); !slices.Equal(got, model) {
		t.Fatalf("takes %+v, want %+v", got, model)
	}
	return nil
}

func checkOutbox(t *rapid.T, box *outbox, model []pending) {
	if box.len() != len(model) {
		t.Fatalf("holds %d, want %d", box.len(), len(model))
	}
	if first := box.first(); (first == nil) != (len(model) == 0) || first != nil && *first != model[0] {
		t.Fatalf("first is %+v", first)
	}
	for _, p := range model {
		if p.at == (State{}) {
			continue
		}
		if found := box.find(p.at); found == nil || found.at != p.at {
			t.Fatalf("does not find %v", p.at)
		}
		if found := box.find(State{p.at.Epoch, p.at.Seq + 1000}); found != nil {
			t.Fatalf("finds %v", found.at)
		}
	}
}

func TestOutboxReturnsItsRoom(t *testing.T) {
	var box outbox
	for seq := range int64(100_000) {
		box.add(pending{at: State{1, seq + 1}})
		if seq > 10 {
			box.pop()
		}
	}
	if cap(box.records) > 8192 {
		t.Errorf("room for %d records, %d held", cap(box.records), box.len())
	}
}

func TestStateCompare(t *testing.T) {
	order := []State{{1, 1}, {1, 2}, {2, 1}, {2, 9}, {}} // not appended yet comes last
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.compare(b); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
	}
}
