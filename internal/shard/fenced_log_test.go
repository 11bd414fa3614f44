package shard

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
)

func TestOutboxModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var box outbox[written]
		var model []sent[written]
		at := fold.State{Epoch: 1, Seq: 0}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			default:
				at.Seq++
				box.add(sent[written]{at: at, offset: -1})
				model = append(model, sent[written]{at: at, offset: -1})
			case 5:
				at = fold.State{Epoch: at.Epoch + rapid.Int64Range(1, 3).Draw(t, "epochs"), Seq: 1}
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
func checkTaken(t *rapid.T, box *outbox[written], model []sent[written]) []sent[written] {
	box.add(sent[written]{offset: -1})
	model = append(model, sent[written]{offset: -1})
	checkOutbox(t, box, model)
	if got := box.take(); !slices.Equal(got, model) {
		t.Fatalf("takes %+v, want %+v", got, model)
	}
	return nil
}

func checkOutbox(t *rapid.T, box *outbox[written], model []sent[written]) {
	if box.len() != len(model) {
		t.Fatalf("holds %d, want %d", box.len(), len(model))
	}
	if first := box.first(); (first == nil) != (len(model) == 0) || first != nil && *first != model[0] {
		t.Fatalf("first is %+v", first)
	}
	for _, p := range model {
		if p.at == (fold.State{}) {
			continue
		}
		if found := box.find(p.at); found == nil || found.at != p.at {
			t.Fatalf("does not find %v", p.at)
		}
		if found := box.find(fold.State{Epoch: p.at.Epoch, Seq: p.at.Seq + 1000}); found != nil {
			t.Fatalf("finds %v", found.at)
		}
	}
}

func TestOutboxReturnsItsRoom(t *testing.T) {
	var box outbox[written]
	for seq := range int64(100_000) {
		box.add(sent[written]{at: fold.State{Epoch: 1, Seq: seq + 1}})
		if seq > 10 {
			box.pop()
		}
	}
	if cap(box.records) > 8192 {
		t.Errorf("room for %d records, %d held", cap(box.records), box.len())
	}
}
