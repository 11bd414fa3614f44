package damage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// snapshotFile is what the engine knows of a partition after an orderly stop.
const snapshotFile = "snapshot.json"

// partitions repairs all partitions of all topics.
func (i inspection) partitions(topics *persistedTopics, commits map[logdir.Partition]int64) error {
	ends, sums := i.readEnds(), readSums(i.dir)
	for _, t := range topics.Topics {
		for n := range int32(t.Partitions) {
			p := repair{
				inspection: i, Partition: logdir.Partition{Topic: t.Name, Number: n},
				dense: !strings.Contains(t.Configs["cleanup.policy"], "compact"),
			}
			p.dir = p.Path(i.dir)
			p.floor = ends.of(p.Name(), t, commits[p.Partition])
			if err := p.run(sums); err != nil {
				return fmt.Errorf("inspect %s: %w", p.dir, err)
			}
		}
	}
	return nil
}

// repair makes one partition such that the engine reads all of it that is sound.
type repair struct {
	inspection
	logdir.Partition
	dir   string
	dense bool
	floor int64 // the offset below which it must not end, 0 if nobody knows one

	end     int64 // the offset behind what is there
	changed bool
	damaged bool
	torn    bool // what stood behind the last sound batch is lost
}

func (p *repair) run(sums sums) error {
	_, err := os.Stat(p.dir)
	missing := errors.Is(err, fs.ErrNotExist)
	bases, err := logdir.SegmentBases(p.dir)
	if err != nil {
		return err
	}
	for n, base := range bases {
		if n == 0 {
			p.end = base
		}
		if err := p.segment(base, bases[n+1:]); err != nil {
			return err
		}
	}
	if len(bases) == 0 {
		p.end = 0
	}
	if err := p.raise(missing, len(bases) > 0); err != nil {
		return err
	}
	snapshot := filepath.Join(p.Path(""), snapshotFile)
	if p.changed || !sums.fits(p.inspection.dir, snapshot) ||
		snapshotEnd(filepath.Join(p.inspection.dir, snapshot)) != p.end {
		return logdir.RemoveFile(filepath.Join(p.inspection.dir, snapshot))
	}
	return nil
}

// snapshotEnd is the end of a partition by a snapshot of it.
func snapshotEnd(path string) int64 {
	var snapshot struct {
		End int64 `json:"high_watermark"`
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &snapshot) != nil {
		return 0
	}
	return snapshot.End
}

// segment repairs one segment, before others.
func (p *repair) segment(base int64, others []int64) error {
	path := logdir.SegmentFile(p.dir, base, logdir.SegmentSuffix)
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	s := salvage{raw: raw, next: max(p.end, base), dense: p.dense, limit: 1 << 62, floor: p.floor}
	if p.floor > 0 {
		s.limit = p.floor + crashMargin
	}
	if len(others) > 0 {
		s.after = func() []byte {
			raw, _ := os.ReadFile(logdir.SegmentFile(p.dir, others[0], logdir.SegmentSuffix)) // its own turn tells why not
			return raw
		}
	}
	if base < p.end { // its name is older than what is in it, after a compaction
		s.next = p.end
	}
	s.run()
	p.end = s.next
	p.torn = len(s.lost) > 0 && s.lost[len(s.lost)-1].behind < 0
	if len(s.lost) == 0 && len(s.mended) == 0 {
		return nil
	}
	p.changed = true
	kept, err := p.keepDamaged(path)
	if err != nil {
		return fmt.Errorf("keep a damaged segment: %w", err)
	}
	p.tell(path, kept, s)
	return p.rewrite(path, base, s)
}

// tell names what is damaged.
func (p *repair) tell(path, kept string, s salvage) {
	for _, at := range s.mended {
		p.log.Warn("a damaged header in the log has been put right", "file", path, "at_byte", at, "as_it_was", kept)
	}
	for _, l := range s.lost {
		p.damaged = true
		behind := "the end"
		if l.behind >= 0 {
			behind = fmt.Sprint(l.behind - 1)
		}
		p.log.Error("the log is damaged: records are lost, all others are there. "+
			"GET /v1/tasks?status=lost shows tasks that are missing now; submit these again",
			"topic", p.Topic, "partition", p.Number, "first_lost_offset", l.first, "last_lost_offset", behind,
			"file", path, "at_byte", l.from, "bytes", l.to-l.from, "as_it_was", kept)
	}
}

// rewrite writes a segment anew with what is sound of it.
func (p *repair) rewrite(path string, base int64, s salvage) error {
	var sound []byte
	for _, b := range s.batches {
		sound = append(sound, s.raw[b.from:b.to]...)
	}
	// The index goes: it is one line for each batch, and the engine can do without.
	if err := logdir.RemoveFile(logdir.SegmentFile(p.dir, base, logdir.IndexSuffix)); err != nil {
		return err
	}
	if len(sound) == 0 {
		return logdir.RemoveFile(path)
	}
	return wrap("rewrite a damaged segment", logdir.ReplaceFile(path, sound))
}

// raise gives a partition that ends below its floor a marker just below that. If records are lost at its end, that
// lies beyond any offset that these can have had, and a client read: it would be given others under the same
// offsets, and take them for read.
func (p *repair) raise(missing, hadSegments bool) error {
	if p.torn || missing && p.floor > 0 || hadSegments && p.end < p.floor {
		p.floor = max(p.floor, p.end) + crashMargin
	}
	if p.end >= p.floor {
		return nil
	}
	p.changed = true
	if missing || hadSegments { // without any, retention may have removed them
		p.log.Error("the end of the log is lost; it goes on above the offsets that were in use. "+
			"GET /v1/tasks?status=lost shows tasks that are missing now; submit these again",
			"topic", p.Topic, "partition", p.Number, "directory", p.dir, "directory_missing", missing,
			"first_lost_offset", p.end, "goes_on_at", p.floor)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	path := logdir.SegmentFile(p.dir, p.floor-1, logdir.SegmentSuffix)
	return wrap("hold the end of a partition", logdir.WriteSynced(path, recordbatch.Marker(p.floor-1, p.now)))
}
