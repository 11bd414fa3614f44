package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
)

// Modes of Config.
const (
	ModeOff = "off"
	ModeJWT = "jwt"
)

// DefaultAdminScope is the scope of tokens that may act for everyone.
const DefaultAdminScope = "tasklane:admin"

// Config says whether callers have to prove who they are, and how. The zero
// Config asks for no proof.
type Config struct {
	// Mode is ModeOff or ModeJWT, ModeOff if empty.
	Mode string
	// SecretFiles hold secrets for HS256, one each; PublicKeyFiles hold public
	// keys or certificates in PEM. Several are for changing keys.
	SecretFiles, PublicKeyFiles []string
	// Issuer is the only accepted iss. Any is accepted if it is empty.
	Issuer string
	// JWKSURL is where the issuer publishes its keys, instead of files.
	JWKSURL string
	// Audience has to be among the token's aud. Any is accepted if it is empty.
	Audience string
	// AdminScope in the token's scope or scp makes an admin, DefaultAdminScope
	// if empty.
	AdminScope string
	// TicketSecretFile holds the secret of tickets. All instances that have the
	// same take each other's. Without it the first of SecretFiles serves, else
	// a key that only this instance has.
	TicketSecretFile string
	Logger           *slog.Logger
}

// On reports whether callers have to prove who they are.
func (c Config) On() bool { return c.Mode == ModeJWT }

func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.AdminScope == "" {
		c.AdminScope = DefaultAdminScope
	}
	files := len(c.SecretFiles) + len(c.PublicKeyFiles)
	switch {
	case c.Mode != "" && c.Mode != ModeOff && c.Mode != ModeJWT:
		return c, fmt.Errorf("auth %q: use off or jwt", c.Mode)
	case !c.On() && (files > 0 || c.Issuer != "" || c.JWKSURL != "" || c.Audience != "" || c.TicketSecretFile != ""):
		return c, errors.New("auth is off and settings of it are given: turn it on with --auth jwt, or leave them out")
	case !c.On():
		return c, nil
	case files == 0 && c.JWKSURL == "":
		return c,
			errors.New("no key to check tokens with: give --auth-secret-file, --auth-public-key-file or --auth-jwks-url")
	case files > 0 && c.JWKSURL != "":
		return c, errors.New("keys are given as files and as --auth-jwks-url: give one kind")
	case strings.ContainsAny(c.AdminScope, " \t\r\n"):
		return c, fmt.Errorf("admin scope %q: a scope has no spaces", c.AdminScope)
	case c.JWKSURL == "":
		return c, nil
	case c.Issuer == "" || c.Audience == "":
		// An identity provider signs for many programs with the same keys.
		return c, errors.New("with --auth-jwks-url give --auth-issuer and --auth-audience: the same keys " +
			"sign tokens for other programs")
	}
	return c, checkKeyURL(c.JWKSURL)
}

// checkKeyURL wants https, so that nobody on the way can put in keys of their
// own. On this machine there is no way.
func checkKeyURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("read --auth-jwks-url: want a URL such as " +
			"https://id.example.com/jwks.json, without user and fragment")
	case u.Scheme == "https", u.Scheme == "http" && onThisMachine(u.Hostname()):
		return nil
	}
	return fmt.Errorf("read --auth-jwks-url: want https; http is for this machine only")
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
