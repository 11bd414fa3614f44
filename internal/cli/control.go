package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// controlFlags are what the commands are told that control many tasks.
type controlFlags struct {
	connection
	by, reason string
	lasts      time.Duration
}

func (f *controlFlags) addTo(flags *pflag.FlagSet) {
	f.anyUser = true
	f.addServer(flags)
	flags.StringVar(&f.by, "by", "", "who asks, for the record")
	flags.StringVar(&f.reason, "reason", "", "why, shown to the users it touches")
}

// addLasts adds the flag of what can end by itself.
func (f *controlFlags) addLasts(flags *pflag.FlagSet) {
	flags.Var((*durationFlag)(&f.lasts), "for", "how long, for example 2h; until it is lifted if not given")
}

// control is the control on the command line. The flags that only some commands
// have are set afterwards.
func (f *controlFlags) control(kind schemas.ControlKind, args []string) (schemas.Control, error) {
	target, err := parseTarget(args[0], args[1])
	if err != nil {
		return schemas.Control{}, err
	}
	c := schemas.Control{Kind: kind, Target: target, By: f.by, Reason: f.reason}
	if f.lasts > 0 {
		until := schemas.AtTime(time.Now().Add(f.lasts))
		c.ExpiresAt = &until
	}
	return c, nil
}

// set writes a control and prints it. What the server would refuse for its form
// is wrong usage.
func (f *controlFlags) set(cmd *cobra.Command, con *Console, control schemas.Control) error {
	control.Time = schemas.AtTime(time.Now())
	if field, problem := control.Check(); problem != "" {
		return Usagef("%s %s", field, problem)
	}
	return f.with(cmd, con, func(ctx context.Context, c *client.Client) error {
		written, err := c.SetControl(ctx, control)
		if err != nil {
			return err
		}
		return con.Printer(f.form).One(newControlRow(written))
	})
}

// lift ends what is in force for a kind and target.
func (f *controlFlags) lift(cmd *cobra.Command, con *Console, control schemas.Control) error {
	return f.with(cmd, con, func(ctx context.Context, c *client.Client) error {
		was, err := c.LiftControl(ctx, control)
		if err != nil {
			return err
		}
		return con.Printer(f.form).One(lifted{control.Key(), was})
	})
}

// controlRow is a control as it is printed.
type controlRow struct {
	Key string `json:"key"`
	schemas.Control
}

func newControlRow(c schemas.Control) controlRow { return controlRow{c.Key(), c} }

func (r controlRow) Columns() []string {
	return []string{"KEY", "LIMITS", "SINCE", "UNTIL", "BY", "REASON"}
}

func (r controlRow) Cells() []string {
	until := "no end set"
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

func (l lifted) Columns() []string { return []string{"KEY", "WAS_IN_FORCE"} }

func (l lifted) Cells() []string { return []string{l.Key, strconv.FormatBool(l.WasInForce)} }
