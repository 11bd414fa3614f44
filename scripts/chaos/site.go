package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/scripts/program"
)

// site is an installation of its own for a fault that costs a part of the log:
// what an arena has gathered could not be judged after it. It has every role, and
// its clients are those of users: the API and the notifier.
type site struct {
	config *config
	name   string
	dir    string
	broker broker
	roles  []*supervised
	health []string // addresses with /readyz, of the roles in their order
	api    string
	events string // the notifier's address

	random   *rand.Rand
	count    int // of tasks
	problems []string
}

// settleTime is how long a site may take until everything works again.
const settleTime = time.Minute

// newSite starts a broker and every role, two processors among them.
func newSite(ctx context.Context, c *config, name string, random *rand.Rand) (*site, error) {
	s := &site{config: c, name: name, dir: filepath.Join(c.dir, name), random: random}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	var err error
	if c.broker == "kafka" {
		s.broker = &kafka{dir: filepath.Join(s.dir, "kafka"), port: c.kafkaPort + 100, nodes: 1}
	} else if s.broker, err = newEmbedded(ctx, c.binary, s.dir); err != nil {
		return nil, err
	}
	if err := s.broker.Start(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("start the broker of %s: %w", name, err)
	}
	if err := s.startRoles(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *site) startRoles(ctx context.Context) error {
	addresses, err := program.FreeAddresses(ctx, s.dir, 4)
	if err != nil {
		return err
	}
	s.health, s.api, s.events = addresses, "http://"+addresses[2], "http://"+addresses[3]
	for n, args := range [][]string{
		{"processor", "--metrics-addr", addresses[0]}, {"processor", "--metrics-addr", addresses[1]},
		{"producer", "--api-addr", addresses[2]}, {"notifier", "--notifier-addr", addresses[3]},
	} {
		name := fmt.Sprint(args[0], "-", n+1)
		args = append(args, "--brokers", strings.Join(s.broker.Addrs(), ","), "--data-dir", filepath.Join(s.dir, name),
			"--log-format", "json")
		if args[0] == "processor" {
			args = append(args, "--session-timeout", s.config.session.String(), "--debug-services=true")
		}
		r := &supervised{name: name, binary: s.config.binary, log: filepath.Join(s.dir, name+".log"), memory: workerMemory,
			args: args}
		s.roles = append(s.roles, r)
		if err := r.startReady(ctx); err != nil {
			return fmt.Errorf("start the roles of %s: %w", s.name, err)
		}
	}
	return nil
}

// close ends every process that was started.
func (s *site) close() {
	for _, r := range s.roles {
		r.close()
	}
	s.broker.Close()
}

// note takes down what is wrong.
func (s *site) note(format string, args ...any) {
	text := fmt.Sprintf("during %s: ", s.name) + fmt.Sprintf(format, args...)
	s.problems = append(s.problems, text)
	fmt.Println("    PROBLEM", text)
}

// admin makes a client for a look at the cluster and changes to it.
func (s *site) admin() (*kadm.Client, error) {
	client, err := kadm.NewOptClient(clientOpts(s.broker.Addrs())...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

// ended is how often roles ended by themselves.
func (s *site) ended() int {
	count := 0
	for _, r := range s.roles {
		count += r.ended()
	}
	return count
}

// logged is how many bytes the roles and the broker have logged.
func (s *site) logged() int64 {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	var bytes int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// What a fault may make an installation log: something for each role and, where
// it lasts, a few lines a second.
const (
	logRoom = 512 << 10 // bytes
	logRate = 32 << 10  // bytes a second
)

// survive does what a fault does and demands that everything works afterwards, in
// bounded time, and without having filled the disk with log lines.
func (s *site) survive(ctx context.Context, f fault) (hits int, err error) {
	old := s.busy(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	before, start := s.logged(), time.Now()
	hits, err = f.apart(ctx, s)
	if err != nil {
		return hits, err
	}
	s.works(ctx)
	s.comesToRest(ctx)
	if f.lossless {
		s.haveEnded(ctx, old)
	}
	if wrote, may := s.logged()-before, int64(logRoom+logRate*time.Since(start).Seconds()); wrote > may {
		s.note("%d KiB were logged in %.0f s", wrote>>10, time.Since(start).Seconds())
	}
	return hits, ctx.Err()
}

// works demands that new tasks are accepted, run and seen by those who watch, and
// that every role says that it is ready.
func (s *site) works(ctx context.Context) {
	s.runTasks(ctx)
	t := s.task("watched-"+s.nextID(), "echo", nil)
	if err := s.watched(ctx, t); err != nil {
		s.note("who watches a task after the fault does not see its end: %v", err)
	}
	for i, address := range s.health {
		why := ""
		if !program.Until(ctx, settleTime, func() bool { why = ready(ctx, address); return why == "" }) {
			s.note("%s is not ready again: %s", s.roles[i].name, why)
		}
	}
}

// runTasks demands that tasks of users enough to come to every shard are accepted
// and completed.
func (s *site) runTasks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for range 32 {
		t := s.task("after-"+s.nextID(), "echo", nil)
		if err := s.submit(ctx, t); err != nil {
			s.note("a task after the fault was not accepted: %v", err)
			return
		}
		if status, err := s.result(ctx, t); err != nil || status != "completed" {
			s.note("task %s after the fault is %q, not completed: %v", t.key(), status, err)
			return
		}
	}
}

// nextID is a part of a task's id that no other has.
func (s *site) nextID() string {
	s.count++
	return fmt.Sprint(s.name, "-", s.count)
}

// comesToRest demands that nothing is shown as waiting or running for ever.
func (s *site) comesToRest(ctx context.Context) {
	for _, status := range []string{"pending", "running"} {
		var left []string
		var err error
		if !program.Until(ctx, settleTime, func() bool {
			left, err = s.list(ctx, status)
			return err == nil && len(left) == 0
		}) {
			s.note("%d tasks are %s for ever, the first %v (%v)", len(left), status, left[:min(len(left), 3)], err)
		}
	}
}

// haveEnded demands that all tasks from before have ended as they should.
func (s *site) haveEnded(ctx context.Context, tasks []task) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var wrong []string
	for _, t := range tasks {
		if status, err := s.result(ctx, t); err != nil || status != "completed" {
			wrong = append(wrong, fmt.Sprintf("%s is %q (%v)", t.key(), status, err))
		}
	}
	if len(wrong) > 0 {
		s.note("%d of %d tasks from before have not been completed, the first: %s", len(wrong), len(tasks), wrong[0])
	}
}

// busy gives the site work, some of which is done when it returns, and some runs.
func (s *site) busy(ctx context.Context) []task {
	var tasks []task
	for n := range 120 {
		name, input := "echo", map[string]any{"n": n}
		if n%6 == 0 {
			name, input = "sleep", map[string]any{"ms": 2000 + s.random.IntN(4000)}
		}
		t := s.task("before-"+s.nextID(), name, input)
		if err := s.submit(ctx, t); err != nil {
			s.note("a task before the fault was not accepted: %v", err)
			return tasks
		}
		tasks = append(tasks, t)
	}
	return tasks
}

func (s *site) task(id, name string, input map[string]any) task {
	return task{lane: lanes()[s.random.IntN(2)], user: fmt.Sprint("user-", s.random.IntN(40)), id: id, name: name,
		input: input}
}

// restart stops all roles in order, does something, and starts them again.
func (s *site) restart(ctx context.Context, meanwhile func() error) error {
	var errs []error
	for _, r := range s.roles {
		errs = append(errs, r.stop())
	}
	errs = append(errs, meanwhile())
	for _, r := range s.roles {
		errs = append(errs, r.start())
	}
	return errors.Join(append(errs, ctx.Err())...)
}
