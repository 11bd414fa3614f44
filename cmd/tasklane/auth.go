package main

import (
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/auth"
)

// authFlags say how clients of the API and the notifier prove who they are. The
// checks are the package's own.
type authFlags struct {
	mode                        string
	secretFiles, publicKeyFiles []string
	issuer, audience, jwksURL   string
	adminScope                  string
	ticketSecretFile            string
}

func (f *authFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.mode, "auth", auth.ModeOff, "how clients prove who they are: off, or jwt for a bearer token whose sub is the user")
	addSecretFiles(flags, &f.secretFiles)
	flags.StringSliceVar(&f.publicKeyFiles, "auth-public-key-file", nil, "PEM file with public keys or certificates for RS256, ES256 and EdDSA; several by comma")
	flags.StringVar(&f.jwksURL, "auth-jwks-url", "", "where the issuer publishes its keys (JWKS), instead of files; needs --auth-issuer and --auth-audience")
	addClaims(flags, &f.issuer, &f.audience)
	addAdminScope(flags, &f.adminScope)
}

// addTickets adds what only a notifier needs.
func (f *authFlags) addTickets(flags *pflag.FlagSet) {
	flags.StringVar(&f.ticketSecretFile, "auth-ticket-secret-file", "",
		"file with the secret of one-time tickets, the same for all notifiers; without it the first --auth-secret-file, else each takes its own only")
}

// What the servers and `token` share is named alike, so that one environment
// serves both.

func addSecretFiles(flags *pflag.FlagSet, into *[]string) {
	flags.StringSliceVar(into, "auth-secret-file", nil, "file with a secret of at least 32 bytes for HS256; several by comma, to change it")
}

func addClaims(flags *pflag.FlagSet, issuer, audience *string) {
	flags.StringVar(issuer, "auth-issuer", "", "the only accepted iss; any if not given")
	flags.StringVar(audience, "auth-audience", "", "must be among a token's aud; any if not given")
}

func addAdminScope(flags *pflag.FlagSet, into *string) {
	flags.StringVar(into, "auth-admin-scope", auth.DefaultAdminScope, "scope of tokens that may act for every user and operate the installation")
}

// check refuses settings that do not go together, and files that cannot be read,
// before anything is started.
func (f *authFlags) check() error {
	_, err := auth.New(f.config())
	return asUsage(err)
}

func (f *authFlags) config() auth.Config {
	return auth.Config{
		Mode: f.mode, SecretFiles: f.secretFiles, PublicKeyFiles: f.publicKeyFiles, Issuer: f.issuer, JWKSURL: f.jwksURL,
		Audience: f.audience, AdminScope: f.adminScope, TicketSecretFile: f.ticketSecretFile,
	}
}
