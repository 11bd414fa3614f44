package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// targetHelp says how a command line names what it is about.
const targetHelp = `TYPE is task, task_name, service, user or lane. NAME is the task's USER/TASK_ID,
the service's MODE/SERVICE, or the name itself.`

// order is what the commands are told that control many tasks.
type order struct {
	remote
	by, reason string
	lasts      time.Duration
}

func (o *order) addTo(flags *pflag.FlagSet) {
	o.anyUser = true
	o.addServer(flags)
	flags.StringVar(&o.by, "by", "", "who asks, for the record")
	flags.StringVar(&o.reason, "reason", "", "why, shown to the users it touches")
}

// addLasts adds the flag of what can end by itself.
func (o *order) addLasts(flags *pflag.FlagSet) {
	flags.Var((*lastsFlag)(&o.lasts), "for", "how long, for example 2h; until it is lifted if not given")
}

// control is the control on the command line. The flags that only some commands
// have are set afterwards.
func (o *order) control(kind schemas.ControlKind, args []string) (schemas.Control, error) {
	target, err := parseTarget(args[0], args[1])
	if err != nil {
		return schemas.Control{}, err
	}
	c := schemas.Control{Kind: kind, Target: target, By: o.by, Reason: o.reason}
	if o.lasts > 0 {
		until := schemas.AtTime(time.Now().Add(o.lasts))
		c.ExpiresAt = &until
	}
	return c, nil
}

// parseTarget reads TYPE and NAME. A task's id has no slash, so its user may have
// one. A mode with a slash cannot be named here, only over the API.
func parseTarget(kind, name string) (schemas.Target, error) {
	t := schemas.Target{Type: schemas.TargetType(kind)}
	switch t.Type {
	case schemas.TargetTask:
		if at := strings.LastIndexByte(name, '/'); at >= 0 {
			t.UserID, t.TaskID = name[:at], name[at+1:]
		}
	case schemas.TargetService:
		t.Mode, t.Service, _ = strings.Cut(name, "/")
	case schemas.TargetTaskName:
		t.TaskName = name
	case schemas.TargetUser:
		t.UserID = name
	case schemas.TargetLane:
		t.Lane = name
	}
	if _, err := schemas.ParseTarget(t.String()); err != nil {
		return schemas.Target{}, usagef("%s %q: %w; %s", kind, name, err, strings.ReplaceAll(targetHelp, "\n", " "))
	}
	return t, nil
}

// oneTarget wants exactly a type and a name.
func oneTarget(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes two arguments, TYPE and NAME; %d were given", cmd.CommandPath(), len(args))
	}
	return nil
}

// set writes a control and prints it. What the server would refuse for its form
// is wrong usage.
func (o *order) set(cmd *cobra.Command, a *app, control schemas.Control) error {
	control.Time = schemas.AtTime(time.Now())
	if field, problem := control.Check(); problem != "" {
		return usagef("%s %s", field, problem)
	}
	return o.with(cmd, a, func(ctx context.Context, c *client.Client) error {
		written, err := c.SetControl(ctx, control)
		if err != nil {
			return err
		}
		return a.printer(o.form).one(newControlRow(written))
	})
}

// lift ends what is in force for a kind and target.
func (o *order) lift(cmd *cobra.Command, a *app, control schemas.Control) error {
	return o.with(cmd, a, func(ctx context.Context, c *client.Client) error {
		was, err := c.LiftControl(ctx, control)
		if err != nil {
			return err
		}
		return a.printer(o.form).one(lifted{control.Key(), was})
	})
}

// controlRow is a control as it is printed.
type controlRow struct {
	Key string `json:"key"`
	schemas.Control
}

func newControlRow(c schemas.Control) controlRow { return controlRow{c.Key(), c} }

func (r controlRow) columns() []string {
	return []string{"KEY", "LIMITS", "SINCE", "UNTIL", "BY", "REASON"}
}

func (r controlRow) cells() []string {
	until := "lifted"
	if r.ExpiresAt != nil {
		until = r.ExpiresAt.Format(time.RFC3339)
	}
	return []string{r.Key, r.limits(), r.Time.Format(time.RFC3339), until, r.By, r.Reason}
}

func (r controlRow) limits() string {
	var parts []string
	if l := r.Limits; l != nil && l.MaxRunning != nil {
		parts = append(parts, strconv.FormatInt(*l.MaxRunning, 10)+" running")
	}
	if l := r.Limits; l != nil && l.MaxStartsPerS != nil {
		parts = append(parts, strconv.FormatFloat(*l.MaxStartsPerS, 'g', -1, 64)+"/s")
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// lifted is what was lifted as it is printed.
type lifted struct {
	Key        string `json:"key"`
	WasInForce bool   `json:"was_in_force"`
}

func (l lifted) columns() []string { return []string{"KEY", "WAS_IN_FORCE"} }

func (l lifted) cells() []string { return []string{l.Key, strconv.FormatBool(l.WasInForce)} }
