package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// remote is how the client commands reach Tasklane.
type remote struct {
	server, notifier, token string
	giveUpAfter             time.Duration
	user                    string
	anyUser                 bool // the command can do without one, as all can with a token
	form                    outputForm
}

func (r *remote) addTo(flags *pflag.FlagSet) {
	r.addServer(flags)
	flags.StringVar(&r.notifier, "notifier", client.DefaultNotifier, "address of the notifier")
	flags.StringVar(&r.user, "user", "", "the user the task belongs to; with a token, its own if not given")
}

// addServer adds what is needed to reach the API.
func (r *remote) addServer(flags *pflag.FlagSet) {
	flags.StringVar(&r.server, "server", client.DefaultServer, "address of the API")
	flags.StringVar(&r.token, "token", "", "bearer token, where the server asks for one; better given by its variable")
	flags.DurationVar(&r.giveUpAfter, "give-up-after", 10*time.Second, "how long to go on trying while there is no answer")
	r.form.addTo(flags)
}

// connect makes the client, once the command line is known to be right.
func (r *remote) connect(a *app) (*client.Client, error) {
	if p := schemas.CheckUserID(r.user); p != "" && (r.user != "" || !r.anyUser && r.token == "") {
		return nil, usagef("--user %s", p)
	}
	if r.giveUpAfter <= 0 {
		return nil, usagef("--give-up-after %v: must be above 0", r.giveUpAfter)
	}
	c, err := client.New(client.Config{
		Server: r.server, Notifier: r.notifier, Token: r.token, GiveUpAfter: r.giveUpAfter, Logger: a.log,
	})
	return c, asUsage(err)
}

// with runs do with a client that is closed afterwards.
func (r *remote) with(cmd *cobra.Command, a *app, do func(context.Context, *client.Client) error) error {
	c, err := r.connect(a)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(cmd.Context(), c)
}

func checkTaskID(id string) error {
	if p := schemas.CheckTaskID(id); p != "" {
		return usagef("task id %q %s", id, p)
	}
	return nil
}
