package main

import (
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/cli"
)

// authFlags say how clients of the API and the notifier prove who they are. The
// checks are the package's own.
type authFlags struct {
	cli.SigningFlags
	mode             string
	publicKeyFiles   []string
	jwksURL          string
	ticketSecretFile string
}

func (f *authFlags) addTo(flags *pflag.FlagSet) {
	f.AddTo(flags)
	flags.StringVar(&f.mode, "auth", auth.ModeOff,
		"how clients prove who they are: off, or jwt for a bearer token whose sub is the user")
	flags.StringSliceVar(&f.publicKeyFiles, "auth-public-key-file", nil,
		"PEM file with public keys or certificates for RS256, ES256 and EdDSA; several by comma")
	flags.StringVar(&f.jwksURL, "auth-jwks-url", "",
		"where the issuer publishes its keys (JWKS), instead of files; needs --auth-issuer and --auth-audience")
}

// addTickets adds what only a notifier needs.
func (f *authFlags) addTickets(flags *pflag.FlagSet) {
	flags.StringVar(&f.ticketSecretFile, "auth-ticket-secret-file", "",
		"file with the secret of one-time tickets, the same for all notifiers; without it the first --auth-secret-file,"+
			" else each takes its own only")
}

// check refuses settings that do not go together, and files that cannot be read,
// before anything is started.
func (f *authFlags) check() error {
	_, err := auth.New(f.config())
	return cli.AsUsage(err)
}

// checkMode refuses a mode that there is not, where nothing but that is given.
func (f *authFlags) checkMode() error {
	if f.mode != auth.ModeOff && f.mode != auth.ModeJWT {
		return cli.Usagef("--auth %q: use %s or %s", f.mode, auth.ModeOff, auth.ModeJWT)
	}
	return nil
}

func (f *authFlags) config() auth.Config {
	return auth.Config{
		Mode: f.mode, SecretFiles: f.SecretFiles, PublicKeyFiles: f.publicKeyFiles, Issuer: f.Issuer, JWKSURL: f.jwksURL,
		Audience: f.Audience, AdminScope: f.AdminScope, TicketSecretFile: f.ticketSecretFile,
	}
}
