package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
	"github.com/aiecs/tasklane/scripts/program"
)

// settle ends the load, heals everything and waits until nothing is left to do.
func (a *arena) settle(ctx context.Context) error {
	for _, w := range a.workers {
		w.proxy.Set(nil)
		w.thaw()
	}
	if err := a.broker.Start(ctx); err != nil {
		return err
	}
	a.rest(ctx)
	program.Pause(ctx, 3*time.Second) // what a zombie may still write
	commits, err := a.committed(ctx)
	if err != nil {
		return err
	}
	a.commits = append(a.commits, commits...)
	for _, w := range a.workers {
		if err := w.stop(); err != nil {
			a.note("%v", err)
		}
	}
	return nil
}

// maxStill is how long nothing may end while something is left to do. Not how
// long all of it takes: tasks that have lost an attempt run one at a time.
const maxStill = time.Minute

// rest waits until everything is done and committed.
func (a *arena) rest(ctx context.Context) {
	ended, last := 0, time.Now()
	behind := "nobody has looked"
	done := program.Until(ctx, 15*time.Minute, func() bool {
		n, err := a.behind(ctx)
		behind = fmt.Sprintf("%d records are not committed, %d tasks are open (%v)", n, a.book.left(), err)
		if now := a.book.count("ended"); now > ended {
			ended, last = now, time.Now()
		}
		return err == nil && n == 0 && a.book.left() == 0 || time.Since(last) > maxStill
	})
	if !done || time.Since(last) > maxStill {
		a.note("not everything was done after the load: %s", behind)
	}
}

// admin makes a client for a look at the cluster.
func (a *arena) admin() (*kadm.Client, error) {
	client, err := kadm.NewOptClient(clientOpts(a.broker.Addrs())...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

// committed is what the groups have committed, with the metadata.
func (a *arena) committed(ctx context.Context) ([]checker.Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	admin, err := a.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	var all []checker.Commit
	for _, lane := range lanes() {
		offsets, err := admin.FetchOffsets(ctx, laneGroup(lane))
		if err != nil {
			return nil, fmt.Errorf("fetch commits of lane %s: %w", lane, err)
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Err == nil && o.At >= 0 {
				all = append(all, checker.Commit{Lane: lane, Partition: o.Partition, Offset: o.At, Metadata: o.Metadata,
					At: time.Now()})
			}
		})
	}
	return all, nil
}

// behind is how many records of the lanes are not committed.
func (a *arena) behind(ctx context.Context) (int64, error) {
	commits, err := a.committed(ctx)
	if err != nil {
		return 0, err
	}
	at := map[string]int64{}
	for _, c := range commits {
		at[fmt.Sprint(laneTopic(c.Lane), "/", c.Partition)] = c.Offset
	}
	admin, err := a.admin()
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := admin.ListEndOffsets(ctx, laneTopic("fast"), laneTopic("heavy"))
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("list the lanes' ends: %w", err)
	}
	var n int64
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset - at[fmt.Sprint(o.Topic, "/", o.Partition)] })
	return n, nil
}

// read reads a topic from its start to its present end.
func (a *arena) read(ctx context.Context, topic string, take func(*checker.Record)) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	admin, err := a.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	listed, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("list the end of %s: %w", topic, err)
	}
	ends, left := map[int32]int64{}, map[int32]bool{}
	listed.Each(func(o kadm.ListedOffset) {
		ends[o.Partition] = o.Offset
		if o.Offset > 0 {
			left[o.Partition] = true
		}
	})
	client, err := kgo.NewClient(clientOpts(a.broker.Addrs(), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	defer client.Close()
	for len(left) > 0 {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %d partitions are left: %w", topic, len(left), ctx.Err())
		}
		client.PollRecords(ctx, 5000).EachRecord(func(r *kgo.Record) {
			if r.Offset < ends[r.Partition] {
				take(record(r))
			}
			if r.Offset >= ends[r.Partition]-1 {
				delete(left, r.Partition)
			}
		})
	}
	return ends, nil
}

// judge reads everything and has it checked.
func (a *arena) judge(ctx context.Context) (*checker.Report, error) {
	c := checker.New(checker.Phases{Count: len(a.phases), At: a.phaseOf,
		Exact: func(n int) bool { return a.phases[n].exact }})
	for _, lane := range lanes() {
		if _, err := a.read(ctx, laneTopic(lane), func(r *checker.Record) { c.Lane(lane, r) }); err != nil {
			return nil, err
		}
	}
	ends, err := a.read(ctx, eventsTopic, c.Event)
	if err != nil {
		return nil, err
	}
	if _, err := a.read(ctx, lettersTopic, c.Letter); err != nil {
		return nil, err
	}
	seen := program.Until(ctx, 20*time.Second, func() bool {
		digests, ok := a.book.seen(ends)
		if ok {
			c.Live(digests)
		}
		return ok
	})
	if !seen {
		a.note("the reader that followed the run has not come to the end")
	}
	acks, cancels := a.load.accepted()
	for _, ack := range acks {
		c.Ack(ack)
	}
	for _, x := range cancels {
		c.Cancel(x)
	}
	for _, m := range a.memory {
		c.Memory(m)
	}
	for _, m := range a.commits {
		c.Commit(m)
	}
	if err := readTrace(a.config.trace(), c.Start); err != nil {
		return nil, err
	}
	return c.Judge(laneTopic), nil
}

// readTrace reads what was executed.
func readTrace(file string, take func(checker.Start)) error {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read trace: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		var s checker.Start
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("read trace: %q: %w", lines.Text(), err)
		}
		take(s)
	}
	return nil
}
