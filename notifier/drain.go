package notifier

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// drainGap is the time between two farewells, about, where there is enough of it.
const drainGap = 2 * time.Millisecond

// drain says farewell to all clients, in no order and spread over a part of the
// shutdown timeout, so that they do not all come back in the same moment. Until
// its turn a client is served on.
func (n *Notifier) drain(ctx context.Context) {
	sessions := n.roster.all()
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	gap := min(drainGap, n.cfg.ShutdownTimeout*3/5/time.Duration(max(len(sessions), 1)))
	due := time.Now()
	for _, s := range sessions {
		if wait := time.Until(due); wait > 0 {
			pace.Sleep(ctx, wait)
		}
		s.end(goingAway())
		due = due.Add(gap/2 + rand.N(gap+1))
	}
}
