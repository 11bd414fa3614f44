package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// measured is what a run over all streams has shown.
type measured struct {
	took        time.Duration
	lengths     []time.Duration // of each stream, from its first token to its end, in order
	nominal     time.Duration
	tokens      int
	connections int
	refusals    int
	cpu         []used
}

type used struct {
	name     string
	cpu      time.Duration
	resident int64
}

// measure reads all streams at once.
func (s *system) measure(ctx context.Context, read func(context.Context, int, *stream) error) (measured, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*s.config.length+time.Minute)
	defer cancel()
	r := measured{nominal: s.config.length, tokens: s.config.streams * s.config.words(), cpu: s.used()}
	streams, errs := make([]*stream, s.config.streams), make([]error, s.config.streams)
	begun := time.Now()
	var all sync.WaitGroup
	for n := range streams {
		streams[n] = s.config.newStream(n)
		all.Go(func() { errs[n] = read(ctx, n, streams[n]) })
	}
	all.Wait()
	r.took = time.Since(begun)
	for n, u := range s.used() {
		r.cpu[n].cpu, r.cpu[n].resident = u.cpu-r.cpu[n].cpu, u.resident
	}
	for _, m := range streams {
		r.connections += m.connections
		r.refusals += m.refusals
		if !m.ended.IsZero() {
			r.lengths = append(r.lengths, m.ended.Sub(m.begun))
		}
	}
	slices.Sort(r.lengths)
	return r, summary(errs)
}

// used is what each process has used until now, this one with the readers the last.
func (s *system) used() (all []used) {
	for _, p := range s.processes {
		all = append(all, used{p.name, program.CPUTime(p.PID()), program.Resident(p.PID())})
	}
	return append(all, used{"readers", program.CPUTime(os.Getpid()), program.Resident(os.Getpid())})
}

// summary tells how many have gone wrong, and the first of them.
func summary(errs []error) error {
	wrong := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d streams went wrong: %w", len(wrong), len(errs), errors.Join(wrong[:min(5, len(wrong))]...))
}

// quantile of the streams' lengths as a part of the nominal one.
func (r measured) quantile(q float64) float64 {
	if len(r.lengths) == 0 {
		return 0
	}
	at := min(int(q*float64(len(r.lengths))), len(r.lengths)-1)
	return r.lengths[at].Seconds() / r.nominal.Seconds()
}

// String is a few lines for people.
func (r measured) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %d streams whole, %d tokens over %d connections (%d answered 503) in %.1f s\n",
		len(r.lengths), r.tokens, r.connections, r.refusals, r.took.Seconds())
	fmt.Fprintf(&b, "  a stream takes %.2f (p50) and %.2f (p99) of its nominal time\n", r.quantile(0.5), r.quantile(0.99))
	for _, u := range r.cpu {
		if u.cpu > 0 {
			fmt.Fprintf(&b, "  %-10s %6.1f s of CPU, %5.2f cores, %5.1f µs a token, %4d MiB\n", u.name, u.cpu.Seconds(),
				u.cpu.Seconds()/r.took.Seconds(), float64(u.cpu.Microseconds())/float64(r.tokens), u.resident>>20)
		}
	}
	return b.String()
}

// compare says what Tasklane adds to the ceiling of the same run.
func (r measured) compare(direct measured) {
	var tasklane, model time.Duration
	for _, u := range r.cpu {
		switch u.name {
		case "model", "readers":
		default:
			tasklane += u.cpu
		}
	}
	for _, u := range direct.cpu {
		if u.name == "model" {
			model = u.cpu
		}
	}
	fmt.Printf("\nthe length of a stream over that of the model itself: %.3f (p50), %.3f (p99)\n",
		r.quantile(0.5)/direct.quantile(0.5), r.quantile(0.99)/direct.quantile(0.99))
	fmt.Printf("CPU of all roles over what the model's server uses to send the same tokens: %.2f\n",
		tasklane.Seconds()/model.Seconds())
}
