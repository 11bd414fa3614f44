package providertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/processor/provider"
	. "github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/schemas"
)

// TestStoppedTasksCloseTheConnection: cancel, soft limit and drain close the provider's connection within 100 ms,
// before anything has come and in mid-stream. What was used is told all the same, as an estimate; after a drain the
// next attempt tells readers to drop what they have, and asks anew.
func TestStoppedTasksCloseTheConnection(t *testing.T) {
	noCredentials(t)
	const most = 100 * time.Millisecond
	for _, a := range adapters() {
		for _, held := range []int{0, 2} {
			for how, stop := range map[string]func(*processortest.Running){
				"cancel": (*processortest.Running).Cancel, "soft limit": (*processortest.Running).SoftTimeLimit,
				"drain": (*processortest.Running).HandOver,
			} {
				synctest.Test(t, func(t *testing.T) {
					s, reached := startPiped(t)
					s.Script(Answer{Gate: "never", HoldAfter: held, PieceDelayMS: 10, Pieces: []string{"one ", "two ", "three"}})
					flow, err := provider.NewFlow(provider.FlowConfig{})
					if err != nil {
						t.Fatal(err)
					}
					p := a.mustMake(t, reached)
					var stopped time.Time
					task := schemas.Task{TaskName: "complete", InputData: jsontext.Value(`{"prompt":"one two"}`),
						Context: jsontext.Value(`{"model":"m"}`)}
					o := processortest.Run(t, provider.Service("fake", p, flow), task,
						processortest.OnStart(func(r *processortest.Running) {
							if !stopped.IsZero() {
								return // the attempt after the drain
							}
							go func() {
								if s.AwaitHeld(t.Context(), "never", 1) == nil {
									synctest.Wait() // what was sent has come
									stopped = time.Now()
									stop(r)
								}
							}()
						}))
					if err := s.Await(t.Context(), func(r []Request) bool { return r[0].Ended != "" }); err != nil {
						t.Fatal(err)
					}
					first := s.Requests()[0]
					if after := first.EndedAt.Sub(stopped); first.Ended != "gone" || after > most || after < 0 {
						t.Errorf("%s, %s after %d pieces: the fake saw %q after %v", a.name, how, held, first.Ended, after)
					}
					want, resets := schemas.Cancelled, 0
					switch how {
					case "soft limit":
						want = schemas.TimedOut
					case "drain":
						want, resets = schemas.Completed, min(held, 1)
					}
					for _, e := range o.Events {
						if e.Kind == schemas.KindReset {
							resets--
						}
					}
					if u := o.End.Usage; o.Status() != want || u == nil || !u.Estimated || u.InputTokens == 0 ||
						(u.OutputTokens > 0) != (held > 0 || how == "drain") || resets != 0 {
						t.Errorf("%s, %s after %d pieces: ended %s, %s; usage %+v, resets missing: %d", a.name, how, held, o.Status(),
							o.End.Error, u, resets)
					}
				})
			}
		}
	}
}
