package producer

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Health is the answer of the health checks.
type Health struct {
	Status string `json:"status"`
}

// healthz says that the process serves requests.
func (p *Producer) healthz(c *gin.Context) { p.answer(c, http.StatusOK, Health{"ok"}) }

// readyz says whether tasks can be submitted and found, and if not, why.
func (p *Producer) readyz(c *gin.Context) {
	if reason := p.unready(); reason != "" {
		p.unavailable(c, reason)
		return
	}
	p.answer(c, http.StatusOK, Health{"ready"})
}

func (p *Producer) unready() string {
	if p.draining.Err() != nil {
		return "the server is shutting down"
	}
	for _, healthy := range p.config.Health {
		if err := healthy(); err != nil {
			return err.Error()
		}
	}
	if !p.lanes.reachable.Load() {
		return "no Kafka broker answers; check that the brokers run and the address is right"
	}
	switch {
	case !p.auth.IsReady():
		return "the keys that tokens are checked with cannot be had; see --auth-jwks-url"
	case p.caughtUp():
		return ""
	case p.view.Positions() == nil:
		return "the topics are not there yet, or the task view cannot be opened; create them with: tasklane topics ensure"
	}
	return "the task view is reading the log"
}

// caughtUp reports whether the view has read what was in the log when it
// started.
func (p *Producer) caughtUp() bool {
	select {
	case <-p.view.Ready():
		return true
	default:
		return false
	}
}
