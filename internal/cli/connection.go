package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// connection is how commands reach Tasklane.
type connection struct {
	server, notifier, token string
	giveUpAfter             time.Duration
	user                    string
	anyUser                 bool // the command can do without one, as all can with a token
	form                    Form
}

func (r *connection) addTo(flags *pflag.FlagSet) {
	r.addUser(flags)
	flags.StringVar(&r.notifier, "notifier", client.DefaultNotifier, "address of the notifier")
}

// addUser adds what is needed to reach the API about what is a user's.
func (r *connection) addUser(flags *pflag.FlagSet) {
	r.addServer(flags)
	flags.StringVar(&r.user, "user", "", "whose it is; with a token, the token's user's if not given")
}

// addServer adds what is needed to reach the API.
func (r *connection) addServer(flags *pflag.FlagSet) {
	flags.StringVar(&r.server, "server", client.DefaultServer, "address of the API")
	flags.StringVar(&r.token, "token", "", "bearer token, where the server asks for one; better given by its variable")
	flags.DurationVar(&r.giveUpAfter, "give-up-after", 10*time.Second, "how long to go on trying while there is no answer")
	r.form.AddTo(flags)
}

// connect makes the client, once the command line is known to be right.
func (r *connection) connect(con *Console) (*client.Client, error) {
	if p := schemas.CheckUserID(r.user); p != "" && (r.user != "" || !r.anyUser && r.token == "") {
		return nil, Usagef("--user %s", p)
	}
	if r.giveUpAfter <= 0 {
		return nil, Usagef("--give-up-after %v: must be above 0", r.giveUpAfter)
	}
	c, err := client.New(client.Config{
		Server: r.server, Notifier: r.notifier, Token: r.token, GiveUpAfter: r.giveUpAfter, Logger: con.Log,
	})
	return c, AsUsage(err)
}

// with runs do with a client that is closed afterwards.
func (r *connection) with(cmd *cobra.Command, con *Console, do func(context.Context, *client.Client) error) error {
	if err := noEmptyFlags(cmd); err != nil {
		return err
	}
	c, err := r.connect(con)
	if err != nil {
		return err
	}
	defer c.Close()
	err = do(cmd.Context(), c)
	var told *interruptedError
	if err != nil && cmd.Context().Err() != nil && !errors.As(err, &told) {
		return interrupted(cmd.Context(), "before the server had answered; the same command again does no harm")
	}
	return r.advise(err, cmd.Name() == "watch")
}
