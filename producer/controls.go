package producer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// ControlEntry is a control and the key it stands under.
type ControlEntry struct {
	Key string `json:"key"`
	schemas.Control
}

// ControlPage is the answer of a list of controls.
type ControlPage struct {
	Controls   []ControlEntry `json:"controls"`
	NextCursor string         `json:"next_cursor,omitzero"`
}

// LiftedControl is the answer to a lift.
type LiftedControl struct {
	Key string `json:"key"`
	// WasInForce is false if there was nothing to lift.
	WasInForce bool `json:"was_in_force"`
}

// defaultControls is how many controls a page has if it is not said.
const defaultControls = 100

// listControls is GET /v1/controls.
func (p *Producer) listControls(c *gin.Context) {
	limit, bad := parseLimit(c.Query("limit"))
	kind := schemas.ControlKind(c.Query("kind"))
	if bad == nil && kind != "" && !slices.Contains(liftable(), kind) {
		bad = pointer(problem.Invalid("kind", "kind must be one of cancel, pause, limits, kill_switch"))
	}
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	if limit == 0 {
		limit = defaultControls
	}
	timer := time.NewTimer(catchUpTimeout)
	defer timer.Stop()
	select {
	case <-p.controls.Ready():
	case <-timer.C:
		p.unavailable(c, "the controls have not been read yet; try again")
		return
	}
	page := ControlPage{Controls: []ControlEntry{}}
	found, next := p.controls.List(kind, c.Query("cursor"), limit)
	for _, one := range found {
		page.Controls = append(page.Controls, ControlEntry{Key: one.Key(), Control: *one})
	}
	page.NextCursor = next
	p.answer(c, http.StatusOK, page)
}

// setControl is POST /v1/controls.
func (p *Producer) setControl(c *gin.Context) {
	body, bad := readOrder(c)
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	order, bad := p.parseControl(body, time.Now())
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	order.By = signature(callerOf(c), order.By)
	key := order.Key()
	was := p.controls.InForce(key)
	if !p.writeControl(c, order) {
		return
	}
	status := http.StatusOK
	if !was && p.controls.InForce(key) {
		status = http.StatusCreated
	}
	p.answer(c, status, ControlEntry{Key: key, Control: *order})
}

// stamped is a control as it is sent, with the members that the server settles
// set apart.
type stamped struct {
	Kind      jsontext.Value `json:"kind,omitzero"`
	Time      jsontext.Value `json:"time,omitzero"`
	ExpiresAt jsontext.Value `json:"expires_at,omitzero"`
	Rest      jsontext.Value `json:",embed"`
}

// parseControl reads and checks a control without its time.
func (p *Producer) parseControl(body []byte, now time.Time) (*schemas.Control, *problem.Problem) {
	var s stamped
	if err := json.Unmarshal(body, &s); err != nil {
		bad := malformed(body, err)
		if bad.Status == http.StatusUnprocessableEntity || len(body) == 0 {
			bad.Detail = "send one JSON object with kind and target"
		}
		return nil, bad
	}
	if !absent(s.Time) {
		return nil, pointer(problem.Invalid("time", "time is set by the server; leave it out"))
	}
	s.Time, _ = schemas.AtTime(now).MarshalJSON()
	if stringOf(s.Kind) == string(schemas.ControlCancel) && absent(s.ExpiresAt) {
		s.ExpiresAt, _ = schemas.AtTime(now.Add(cancelLifetime)).MarshalJSON()
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		return nil, pointer(problem.New(http.StatusBadRequest, "the body cannot be passed on: "+err.Error()))
	}
	order, err := schemas.DecodeControlOrder(encoded)
	switch {
	case err != nil:
		return nil, invalidControl(err)
	case order.ExpiresAt != nil && !order.ExpiresAt.After(now):
		return nil, pointer(problem.Invalid("expires_at", "expires_at is in the past; it would never be in force"))
	case order.Target.Type == schemas.TargetLane && !slices.Contains(p.config.Lanes, order.Target.Lane):
		return nil, pointer(problem.Invalid("target.lane", "there is no such lane; name one of: "+strings.Join(p.config.Lanes, ", ")))
	}
	return order, nil
}

func invalidControl(err error) *problem.Problem {
	var e *schemas.InvalidControlError
	if !errors.As(err, &e) {
		return pointer(problem.New(http.StatusUnprocessableEntity, err.Error()))
	}
	return pointer(problem.Invalid(e.Field, strings.TrimSpace(e.Field+" "+e.Problem)))
}

// liftable are the kinds that can be in force.
func liftable() []schemas.ControlKind {
	return []schemas.ControlKind{schemas.ControlCancel, schemas.ControlPause, schemas.ControlLimits, schemas.ControlKillSwitch}
}

// liftControl is DELETE /v1/controls/{kind}/{target}. A resume and a kill switch
// that is off stay on record, with who wrote them; the others leave a tombstone.
func (p *Producer) liftControl(c *gin.Context) {
	kind := schemas.ControlKind(c.Param("kind"))
	if !slices.Contains(liftable(), kind) {
		p.fail(c, problem.New(http.StatusNotFound, "there is no such kind of control; use cancel, pause, limits or kill_switch"))
		return
	}
	// The names are escaped one by one, so the path must be too.
	rest, _ := strings.CutPrefix(c.Request.URL.EscapedPath(), "/v1/controls/")
	_, text, _ := strings.Cut(rest, "/")
	target, err := schemas.ParseTarget(text)
	if err != nil {
		p.fail(c, *invalidControl(err))
		return
	}
	order := &schemas.Control{Kind: kind, Target: target, Time: schemas.AtTime(time.Now()), By: signature(callerOf(c), c.Query("by")), Reason: c.Query("reason")}
	key := order.Key()
	was := p.controls.InForce(key)
	var done bool
	switch kind {
	case schemas.ControlPause:
		order.Kind = schemas.ControlResume
		done = p.writeControl(c, order)
	case schemas.ControlKillSwitch:
		order.Off = true
		done = p.writeControl(c, order)
	default:
		done = p.settle(c, func(ctx context.Context) (control.Place, error) { return p.steering.Clear(ctx, key) })
	}
	if done {
		p.answer(c, http.StatusOK, LiftedControl{Key: key, WasInForce: was})
	}
}

// writeControl writes a control. It has answered if it returns false.
func (p *Producer) writeControl(c *gin.Context, order *schemas.Control) bool {
	return p.settle(c, func(ctx context.Context) (control.Place, error) { return p.steering.Write(ctx, order) })
}

// settle writes and waits until this instance has read what was written, so that
// who asks it next is answered by it. It has answered if it returns false.
func (p *Producer) settle(c *gin.Context, write func(context.Context) (control.Place, error)) bool {
	if !p.lanes.reachable.Load() {
		p.unavailable(c, "no broker answers; nothing was written, try again")
		return false
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.ProduceTimeout)
	defer cancel()
	place, err := write(ctx)
	if err != nil {
		p.failControl(c, err)
		return false
	}
	reading, stop := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer stop()
	if err := p.controls.Passed(reading, place); err != nil {
		p.logger.Warn("a control was written and has not been read back yet", "error", err)
	}
	return true
}

func (p *Producer) failControl(c *gin.Context, err error) {
	var invalid *schemas.InvalidControlError
	switch {
	case errors.As(err, &invalid):
		p.fail(c, *invalidControl(err))
		return
	case errors.Is(err, control.ErrRefused):
		p.unavailable(c, err.Error())
	default:
		p.fail(c, problem.New(http.StatusGatewayTimeout, "outcome unknown: the broker has not acknowledged the control in time; send the same request again, that is safe"))
	}
	p.logger.Warn("control was not acknowledged", "error", err)
}
