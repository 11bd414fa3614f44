package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// compare measures every server in a layout, in turns, and prints what came out.
func (o options) compare(ctx context.Context, l layout) error {
	results := make(map[string][]result)
	rounds := o.rounds
	if l == idle {
		rounds = 1 // it varies little
	}
	for range rounds {
		for _, name := range contenders() {
			if !o.chosen(name, l) {
				continue
			}
			r, err := o.inProcess(ctx, name, l)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", name, l, err)
			}
			results[name] = append(results[name], r)
		}
	}
	if l == idle {
		o.printIdle(results)
		return nil
	}
	o.printRates(l, results)
	return nil
}

func (o options) chosen(name string, l layout) bool {
	if l == idle && (name == tasklaneBatch || name == tasklaneApart || name == gorillaOfLog) {
		return false // the same as without
	}
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), name)
}

// inProcess has a process of its own measure a server.
func (o options) inProcess(ctx context.Context, name string, l layout) (result, error) {
	path, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, path, "-serve", name, "-layout", string(l), "-profile", o.profile,
		"-clients", strconv.Itoa(o.clients), "-events", strconv.Itoa(o.events), "-size", strconv.Itoa(o.size), "-idle",
		strconv.Itoa(o.idle))
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return result{}, fmt.Errorf("measure: %w", err)
	}
	var r result
	if err := json.Unmarshal(said, &r); err != nil {
		return result{}, fmt.Errorf("read the measurement: %w", err)
	}
	return r, nil
}

func (o options) printRates(l layout, results map[string][]result) {
	fmt.Printf("\n%s: %d clients of %d users, %d events of %d bytes for each; %d rounds, medians\n",
		l, o.clients, l.users(o.clients), o.events, o.size, o.rounds)
	fmt.Printf("%-16s %14s %16s %22s %22s\n", "", "messages/s", "server CPU each", "rate by centrifuge's",
		"rate by gorilla's")
	for _, name := range contenders() {
		mine := results[name]
		if len(mine) == 0 {
			continue
		}
		cpu := func(r result) float64 { return 1e6 * r.CPU / float64(r.Deliveries) }
		fmt.Printf("%-16s %14.0f %13.2f µs %22s %22s\n", name, median(mine, result.perSecond), median(mine, cpu),
			ratio(mine, results[centrifugeJSON]), ratio(mine, results[gorillaBare]))
	}
}

func (o options) printIdle(results map[string][]result) {
	fmt.Printf("\nidle: what a connection costs the server, in KiB\n%-16s %12s %14s %20s\n", "", "connections", "resident",
		"heap and stacks")
	for _, name := range contenders() {
		for _, r := range results[name] {
			fmt.Printf("%-16s %12d %14.1f %20.1f\n", name, r.Clients, r.RSS/1024, r.Heap/1024)
			if r.Clients < o.idle {
				fmt.Printf("  (%d were asked for; the limit on open files permits no more)\n", o.idle)
			}
		}
	}
}

// median is that of a figure over all rounds.
func median(results []result, figure func(result) float64) float64 {
	figures := make([]float64, len(results))
	for i, r := range results {
		figures[i] = figure(r)
	}
	return middle(figures)
}

// ratio is how many times as fast as another, round by round: the middle, and
// the extremes.
func ratio(mine, others []result) string {
	if len(others) != len(mine) {
		return "-"
	}
	ratios := make([]float64, len(mine))
	for i := range mine {
		ratios[i] = mine[i].perSecond() / others[i].perSecond()
	}
	at := middle(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", at, ratios[0], ratios[len(ratios)-1])
}

// middle sorts the figures.
func middle(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}
