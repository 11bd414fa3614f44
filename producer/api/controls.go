package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/schemas"
)

// ControlEntry is a control and the key it stands under.
type ControlEntry struct {
	Key string `json:"key"`
	// Warning is what may be wrong with a control that was written all the same.
	Warning string `json:"warning,omitzero"`
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
func (a *API) listControls(c *gin.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	kind := schemas.ControlKind(c.Query("kind"))
	if kind != "" && !slices.Contains(liftable(), kind) {
		return httpedge.Invalid("kind", "kind must be one of cancel, pause, limits, kill_switch")
	}
	if err := checkControlsCursor(c.Query("cursor")); err != nil {
		return err
	}
	if err := a.controlsKnown(); err != nil {
		return err
	}
	page := ControlPage{Controls: []ControlEntry{}}
	found, next := a.config.Controls.List(kind, c.Query("cursor"), cmp.Or(limit, defaultControls))
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	for _, one := range found {
		if a.done(ctx, one) {
			continue
		}
		page.Controls = append(page.Controls, ControlEntry{Key: one.Key(), Control: *one})
	}
	page.NextCursor = next
	return answer(c, http.StatusOK, page)
}

// checkControlsCursor refuses what is no next_cursor, the key of the last control of a page: the list would begin
// somewhere, and leave out what stands before.
func checkControlsCursor(cursor string) error {
	if cursor == "" {
		return nil
	}
	kind, target, _ := strings.Cut(cursor, "/")
	if _, err := schemas.ParseTarget(target); err != nil || !slices.Contains(liftable(), schemas.ControlKind(kind)) {
		return httpedge.Invalid("cursor", "cursor must be the next_cursor of the page before, unchanged")
	}
	return nil
}

// setControl is POST /v1/controls.
func (a *API) setControl(c *gin.Context) error {
	body, err := a.readSmallBody(c)
	if err != nil {
		return err
	}
	wanted, err := a.readControl(body, time.Now())
	if err != nil {
		return err
	}
	wanted.By = signature(identityOf(c), wanted.By)
	key := wanted.Key()
	was := a.config.Controls.InForce(key)
	if err := a.WriteControl(c.Request.Context(), wanted); err != nil {
		return err
	}
	status := http.StatusOK
	if !was && a.config.Controls.InForce(key) {
		status = http.StatusCreated
	}
	return answer(c, status, ControlEntry{Key: key, Warning: a.warn(c.Request.Context(), wanted), Control: *wanted})
}

// readControl reads and checks a control that is asked for now.
func (a *API) readControl(body []byte, now time.Time) (*schemas.Control, error) {
	wanted, err := schemas.DecodeControlRequest(body)
	if err != nil {
		return nil, invalidControl(body, err)
	}
	if !wanted.Time.IsZero() {
		return nil, httpedge.Invalid("time", "time is set by the server; leave it out")
	}
	wanted.Time = schemas.AtTime(now)
	if wanted.Kind == schemas.ControlCancel && wanted.ExpiresAt == nil {
		expires := schemas.AtTime(now.Add(schemas.CancelLifetime))
		wanted.ExpiresAt = &expires
	}
	if field, wrong := wanted.Check(); wrong != "" {
		return nil, httpedge.Invalid(field, field+" "+wrong)
	}
	switch {
	case wanted.ExpiresAt != nil && !wanted.ExpiresAt.After(now):
		return nil, httpedge.Invalid("expires_at", "expires_at is in the past; it would never be in force")
	case wanted.Target.Type == schemas.TargetLane && !slices.Contains(a.config.Lanes, wanted.Target.Lane):
		return nil, httpedge.Invalid("target.lane", "there is no such lane; name one of: "+strings.Join(a.config.Lanes, ", "))
	}
	return wanted, nil
}

// invalidControl is the answer for a control that cannot be read.
func invalidControl(body []byte, err error) error {
	var e *schemas.InvalidControlError
	if !errors.As(err, &e) || e.Field == "" {
		return malformed(body, err, "send one JSON object with kind and target")
	}
	detail := e.Field + " " + e.Problem
	if meant, near := nearest.Field(e.Field, schemas.ControlFields()...); e.Unknown && near {
		detail += fmt.Sprintf(". Did you mean %q?", meant)
	}
	return httpedge.Invalid(e.Field, detail)
}

// liftable are the kinds that can be in force.
func liftable() []schemas.ControlKind {
	return []schemas.ControlKind{schemas.ControlCancel, schemas.ControlPause, schemas.ControlLimits,
		schemas.ControlKillSwitch}
}

// liftControl is DELETE /v1/controls/{kind}/{target}. A resume and a kill switch
// that is off stay on record, with who wrote them; the others leave a tombstone.
func (a *API) liftControl(c *gin.Context) error {
	kind := schemas.ControlKind(c.Param("kind"))
	if !slices.Contains(liftable(), kind) {
		return httpedge.NewProblem(http.StatusNotFound,
			"there is no such kind of control; use cancel, pause, limits or kill_switch")
	}
	// The names are escaped one by one, so the path must be too.
	rest, _ := strings.CutPrefix(c.Request.URL.EscapedPath(), "/v1/controls/")
	_, text, _ := strings.Cut(rest, "/")
	target, err := schemas.ParseTarget(text)
	if err != nil {
		return invalidTarget(err)
	}
	lift := &schemas.Control{
		Kind: kind, Target: target, Time: schemas.AtTime(time.Now()), By: signature(identityOf(c), c.Query("by")),
		Reason: c.Query("reason"),
	}
	key := lift.Key()
	was := a.config.Controls.InForce(key)
	switch kind {
	case schemas.ControlPause:
		lift.Kind = schemas.ControlResume
		err = a.WriteControl(c.Request.Context(), lift)
	case schemas.ControlKillSwitch:
		lift.Off = true
		err = a.WriteControl(c.Request.Context(), lift)
	default:
		err = a.settle(c.Request.Context(), func(ctx context.Context) (control.Place, error) {
			return a.config.ControlWriter.Clear(ctx, key)
		})
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, LiftedControl{Key: key, WasInForce: was})
}

// invalidTarget is the answer where a target, or a control that was made here, is wrong.
func invalidTarget(err error) error {
	var e *schemas.InvalidControlError
	if errors.As(err, &e) {
		return httpedge.Invalid(e.Field, e.Field+" "+e.Problem)
	}
	return httpedge.NewProblem(http.StatusUnprocessableEntity, err.Error())
}

// fullRetrySeconds is what somebody is told to wait who has as many controls as there
// is room for. They end after days, or when somebody lifts them.
const fullRetrySeconds = 60

// controlsKnown waits until the controls have been read.
func (a *API) controlsKnown() error {
	timer := time.NewTimer(catchUpTimeout)
	defer timer.Stop()
	select {
	case <-a.config.Controls.Ready():
		return nil
	case <-timer.C:
		return httpedge.Unavailable("the controls have not been read yet; try again")
	}
}

// WriteControl writes a control if there is room for it, and returns once this instance has read it back.
func (a *API) WriteControl(ctx context.Context, wanted *schemas.Control) error {
	if err := a.controlsKnown(); err != nil {
		return err
	}
	var full *control.FullError
	if err := a.config.Controls.Room(wanted); errors.As(err, &full) {
		refused := httpedge.TooMany(err.Error())
		refused.RetryAfter = fullRetrySeconds
		return refused
	}
	return a.settle(ctx, func(ctx context.Context) (control.Place, error) {
		return a.config.ControlWriter.Write(ctx, wanted)
	})
}

// settle writes and waits until this instance has read what was written, so that
// who asks it next is answered by it.
func (a *API) settle(ctx context.Context, write func(context.Context) (control.Place, error)) error {
	if !a.config.Writer.Reachable() {
		return httpedge.Unavailable("no broker answers; nothing was written, try again")
	}
	writing, cancel := context.WithTimeout(ctx, a.config.ProduceTimeout)
	defer cancel()
	place, err := write(writing)
	if err != nil {
		return a.controlNotWritten(err)
	}
	reading, stop := context.WithTimeout(ctx, catchUpTimeout)
	defer stop()
	if err := a.config.Controls.Passed(reading, place); err != nil {
		a.config.Logger.Warn("a control was written and has not been read back yet", "error", err)
	}
	return nil
}

// controlNotWritten is the answer for a control that was not acknowledged.
func (a *API) controlNotWritten(err error) error {
	var invalid *schemas.InvalidControlError
	if errors.As(err, &invalid) {
		return invalidTarget(err)
	}
	a.config.Logger.Warn("control was not acknowledged", "error", err)
	if errors.Is(err, control.ErrRefused) {
		return httpedge.Unavailable(err.Error())
	}
	return httpedge.NewProblem(http.StatusGatewayTimeout,
		"outcome unknown: the broker has not acknowledged the control in time; send the same request again, that is safe")
}
