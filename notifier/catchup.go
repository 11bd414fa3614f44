package notifier

import (
	"context"
	"errors"
)

// catchUp replays history to a subscription that is in the hub and holding,
// until it is live. It returns at once; the session has its place in the group,
// so the group does not grow after it was waited for.
func (n *Notifier) catchUp(sub *subscription, from begin) {
	ctx, ok := sub.replaying()
	if !ok {
		return
	}
	n.sessions.Go(func() {
		p := n.replayer.begin(sub, from)
		err := p.run(ctx)
		outcome := recoveredAll
		switch {
		case err == nil && from.lost != "":
			outcome = recoveredPart
		case err == nil:
		case ctx.Err() != nil:
			outcome = recoveryLeft
		case errors.Is(err, errBehind):
			outcome = recoverySlow
			sub.session.end(slowClient())
		default:
			outcome = recoveryFailed
			n.metrics.replayErrors.Inc()
			n.log.Warn("replaying history failed", "error", err)
			sub.session.end(replayFailed())
		}
		n.metrics.recovery(p.foundIn, outcome)
		sub.replayed()
	})
}

// replaying is the context of a subscription's replay; false if it has ended.
func (b *subscription) replaying() (context.Context, bool) {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	if b.ended {
		return nil, false
	}
	ctx, stop := context.WithCancel(b.session.ctx)
	b.stop = stop
	return ctx, true
}

// replayed gives up what the replay needed.
func (b *subscription) replayed() {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	b.stop()
	b.stop = nil
}
