package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	limitRPM    = 1200 // of the model limited, for all processors
	budgetTasks = 20   // that the budget has room for
	fleetSlots  = 4    // of each processor
)

// fleet is three processors of an installation with limits, each of which owns a partition
// of the fast lane, and the provider that they ask.
type fleet struct {
	t          *testing.T
	i          *installation
	provider   string
	book       *logbook
	sender     *kgo.Client
	args       [][]string
	processors []*server
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, i: newInstallation(t), provider: fakeProvider(t)}
	if f.i.brokers == "" {
		start(t, "broker", "--broker-addr", f.i.brokerAddr, "--data-dir", f.i.dir)
	}
	ensure := append([]string{"topics", "ensure", "--partitions", "3", "--lanes", "fast"}, f.i.kafkaFlags()...)
	if said := runWithin(t, nil, ensure...); said.code != 0 {
		t.Fatalf("topics ensure: %+v", said)
	}
	config := filepath.Join(t.TempDir(), "tasklane.yaml")
	text := fmt.Sprintf(`
providers:
  openai: {base_url: "%[1]s/v1", api_key: any}
  xai: {base_url: "%[1]s/v1", api_key: any}
limits: [{provider: openai, models: [limited], rpm: %[2]d}]
budgets: [{label: team, usd_per_day: 0.001}]
prices: {openai/paid: {input: 0, output: 5}}
`, f.provider, limitRPM)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := json.Marshal(map[string]any{"model": "paid", "answers": []any{
		map[string]any{"text": "ok", "usage": map[string]int{"input": 10, "output": 10}, "first_delay_ms": 30, "times": -1}}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(f.provider+"/fake/script", "application/json", bytes.NewReader(script))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(err, response)
	}
	_ = response.Body.Close()
	f.book = read(t, f.i)
	f.sender = newProducer(t, f.i, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, address := range freePorts(t, 3) {
		args := append([]string{"processor", "--lanes", fmt.Sprint("fast=", fleetSlots), "--metrics-addr", address,
			"--config", config, "--debug-services=true", "--data-dir", t.TempDir(), "--log-format", "json"}, f.i.kafkaFlags()...)
		f.args = append(f.args, args)
		f.processors = append(f.processors, start(t, args...))
	}
	return f
}

// send puts so many tasks into a partition.
func (f *fleet) send(partition, count int, name string, change func(task map[string]any)) (ids []string) {
	f.t.Helper()
	user := fmt.Sprint("user-", partition)
	var records []*kgo.Record
	for n := range count {
		id := fmt.Sprintf("%s-%d-%d", name, partition, n)
		task := newTask("fast", user, id, "echo", nil)
		change(task)
		r := record(f.i, "fast", user, task)
		r.Partition = int32(partition)
		records, ids = append(records, r), append(ids, id)
	}
	produce(f.t, f.sender, records...)
	return ids
}

// asks makes a task one that asks a model of a provider.
func asks(provider, model string) func(map[string]any) {
	return func(task map[string]any) {
		task["mode"], task["service"], task["task_name"] = "chat", provider, "complete"
		task["input_data"], task["context"] = map[string]any{"prompt": "hello"}, map[string]any{"model": model}
		if model == "paid" {
			task["labels"] = map[string]string{"team": "red"}
		}
	}
}

// owners are the processors by their partitions, once each has one.
func (f *fleet) owners() (owners [3]*server) {
	f.t.Helper()
	byID := map[string]*server{}
	for _, s := range f.processors {
		byID[s.id()] = s
	}
	for round, end := 0, time.Now().Add(deadline); time.Now().Before(end); round++ {
		apart := map[*server]bool{}
		for partition := range owners {
			id := f.send(partition, 1, fmt.Sprint("owner-", round), func(map[string]any) {})[0]
			owners[partition] = byID[f.book.end(fmt.Sprint("user-", partition), id).Worker]
			apart[owners[partition]] = true
		}
		if len(apart) == len(owners) {
			return owners
		}
		<-time.After(100 * time.Millisecond)
	}
	f.t.Fatal("the processors do not share the partitions")
	return owners
}

// asked are the times at which the provider was asked for a model.
func (f *fleet) asked(model string) (times []time.Time) {
	f.t.Helper()
	response, err := http.Get(f.provider + "/fake/requests")
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	var all []struct {
		Model      string    `json:"model"`
		ReceivedAt time.Time `json:"received_at"`
	}
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		f.t.Fatal(err)
	}
	for _, r := range all {
		if r.Model == model {
			times = append(times, r.ReceivedAt)
		}
	}
	return times
}

// count waits until a model was asked for so many times.
func (f *fleet) count(model string, count int) {
	f.t.Helper()
	for end := time.Now().Add(deadline); len(f.asked(model)) < count; <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s was asked for %d times in %v, want %d", model, len(f.asked(model)), deadline, count)
		}
	}
}

// TestLimitsOverProcessors: three processors, most of the work at one of them, keep a budget and a limit together, over
// a kill of that one; tasks of another provider do not wait meanwhile.
func TestLimitsOverProcessors(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	owners := f.owners()

	var paid []string
	for partition := range owners {
		paid = append(paid, f.send(partition, 30, "paid", asks("openai", "paid"))...)
	}
	f.book.until("the budget's end", deadline, func() bool {
		waiting, ended := 0, 0
		for _, all := range f.book.tasks {
			switch last := all[len(all)-1]; {
			case last.TaskID[:4] != "paid":
			case last.terminal():
				ended++
			case last.Status == "pending":
				waiting++
			}
		}
		return waiting+ended == len(paid)
	})
	if n := len(f.asked("paid")); n < budgetTasks || n > budgetTasks+3*fleetSlots {
		t.Errorf("a budget of %d requests let %d through; at most %d are in flight at once", budgetTasks, n, 3*fleetSlots)
	}

	f.send(0, 600, "limited", asks("openai", "limited"))
	f.send(1, 150, "limited", asks("openai", "limited"))
	f.send(2, 150, "limited", asks("openai", "limited"))
	f.count("limited", 60)
	for partition := range owners {
		for _, id := range f.send(partition, 5, "free", asks("xai", "free")) {
			if end := f.book.end(fmt.Sprint("user-", partition), id); end.Status != "completed" {
				t.Errorf("%s: %s %s", id, end.Status, end.Error)
			}
		}
	}
	if n := len(f.asked("limited")); n >= 900 {
		t.Errorf("tasks of another provider have waited for all %d of the limited one", n)
	}
	owners[0].kill()
	for n, s := range f.processors {
		if s == owners[0] {
			f.processors[n] = start(t, f.args[n]...)
		}
	}
	f.count("limited", 240)
	// The limit, 2.4 s of it that were saved up, and what moves of it while it is told of.
	times := f.asked("limited")
	for n, at := range times {
		passed := at.Sub(times[0]).Minutes()
		if most := limitRPM*(passed+0.04) + limitRPM*0.04; float64(n+1) > most {
			t.Fatalf("%d requests in %.1f s, at most %.0f may be", n+1, passed*60, most)
		}
	}
}
