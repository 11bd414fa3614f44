package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/schemas"
)

// longestToken keeps tokens of the command line from being for ever.
const longestToken = 365 * 24 * time.Hour

// SigningFlags are what the servers and token share, named alike so that one
// environment serves both.
type SigningFlags struct {
	SecretFiles []string
	// Issuer and Audience are empty where any will do.
	Issuer, Audience string
	AdminScope       string
}

// AddTo adds the flags.
func (f *SigningFlags) AddTo(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.SecretFiles, "auth-secret-file", nil,
		"file with a secret of at least 32 bytes for HS256; several by comma, to change it")
	flags.StringVar(&f.Issuer, "auth-issuer", "", "the only accepted iss; any if not given")
	flags.StringVar(&f.Audience, "auth-audience", "", "must be among a token's aud; any if not given")
	flags.StringVar(&f.AdminScope, "auth-admin-scope", auth.DefaultAdminScope,
		"scope of tokens that may act for every user and operate the installation")
}

// tokenFlags are what token is told.
type tokenFlags struct {
	SigningFlags
	user    string
	admin   bool
	scopes  []string
	lasts   time.Duration
	keyFile string
}

func (con *Console) tokenCommand() *cobra.Command {
	f := new(tokenFlags)
	cmd := &cobra.Command{
		Use:        "token",
		SuggestFor: []string{"login", "jwt"},
		Short:      "Makes a token, for development",
		Long: `Makes a token (JWT) and prints it. It is signed with the secret or the private
key that is given; no server is asked. In production tokens come from your
identity provider, or your backend signs them with the same key.`,
		Example: `  tasklane token --user alice --auth-secret-file secret
  tasklane token --user ops --admin --for 10m --private-key-file key.pem`,
		Args: NoArguments,
		RunE: func(*cobra.Command, []string) error {
			text, err := f.mint(time.Now())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(con.Stdout, text); err != nil {
				return fmt.Errorf("print token: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "the user it speaks for, its sub")
	flags.BoolVar(&f.admin, "admin", false, "give it the admin scope")
	flags.StringSliceVar(&f.scopes, "scope", nil, "scopes it has, comma separated")
	flags.DurationVar(&f.lasts, "for", time.Hour, "how long it is valid")
	flags.StringVar(&f.keyFile, "private-key-file", "",
		"PEM file with a private key, for RS256, ES256 or EdDSA; instead of --auth-secret-file")
	f.AddTo(flags)
	return cmd
}

func (f *tokenFlags) mint(now time.Time) (string, error) {
	if p := schemas.CheckUserID(f.user); p != "" {
		return "", Usagef("--user %s", p)
	}
	if f.lasts < time.Second || f.lasts > longestToken {
		return "", Usagef("--for %v: must be 1s to %v", f.lasts, longestToken)
	}
	minter, err := f.minter()
	if err != nil {
		return "", err
	}
	scopes := f.scopes
	if f.admin {
		scopes = append(scopes, f.AdminScope)
	}
	text, err := minter.Mint(auth.Grant{
		User: f.user, Scopes: scopes, Issuer: f.Issuer, Audience: f.Audience, From: now, For: f.lasts,
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("make token: %w", err)
	case len(text) > auth.MaxTokenBytes:
		return "", Usagef("the token has %d bytes, servers take %d: give it fewer scopes", len(text), auth.MaxTokenBytes)
	}
	return text, nil
}

// minter signs with the key that is given; of several secrets the first, as
// servers take them all.
func (f *tokenFlags) minter() (minter *auth.Minter, err error) {
	switch {
	case f.keyFile != "":
		minter, err = auth.NewKeyMinter(f.keyFile)
	case len(f.SecretFiles) > 0:
		minter, err = auth.NewSecretMinter(f.SecretFiles[0])
	default:
		return nil, Usagef("nothing to sign with: give --auth-secret-file or --private-key-file, whose key the servers know")
	}
	return minter, AsUsage(err)
}
