package security

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// The mechanisms of SASL, as they are chosen.
const (
	SASLPlain       = "plain"
	SASLScram256    = "scram-sha-256"
	SASLScram512    = "scram-sha-512"
	SASLOAuthBearer = "oauthbearer"
)

// Config says how clients and brokers prove to each other who they are.
// The names in its errors are those of the command's flags.
type Config struct {
	// TLS encrypts, and checks the brokers' certificates.
	TLS bool
	// CAFile is a PEM file with the authorities of the brokers' certificates, those of the system if empty.
	CAFile string
	// CertFile and KeyFile are PEM files with the client's own certificate.
	CertFile, KeyFile string
	// ServerName is the name that the brokers' certificates must have, if it is not their address's.
	ServerName string

	// SASL is the mechanism, none if empty.
	SASL string
	User string
	// Password is that of the user, if it is not in PasswordFile.
	Password, PasswordFile string
	// TokenFile holds the token of OAUTHBEARER; or it comes from a TokenClient.
	TokenFile string
	Token     TokenClient

	// Logger gets warnings; nil discards them.
	Logger *slog.Logger
}

// Security is a Config that can be used. Files are read again for every
// connection, so that what is in them can be changed while a role runs.
type Security struct {
	config    Config
	mechanism sasl.Mechanism // nil without one

	mu     sync.Mutex
	last   *identity // of the latest files that were whole
	warned string    // the latest warning about them
}

// New checks the settings and reads every file once. It connects to
// nothing. It is nil for settings that ask for nothing.
func New(c Config) (*Security, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.SASL = strings.ToLower(c.SASL)
	if err := c.check(); err != nil {
		return nil, err
	}
	if !c.TLS && c.SASL == "" {
		return nil, nil //nolint:nilnil // it asks for nothing
	}
	s := &Security{config: c}
	var err error
	if c.TLS {
		if s.last, err = c.readIdentity(); err != nil {
			return nil, err
		}
	}
	if s.mechanism, err = c.newMechanism(); err != nil {
		return nil, err
	}
	s.warn()
	return s, nil
}

// Options are how a client opens connections, with dial or by TCP if it is nil, and who it
// is on them. They are those of a plain client if s is nil.
func (s *Security) Options(dial Dialer) []kgo.Opt {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	switch {
	case s == nil:
		return []kgo.Opt{kgo.Dialer(dial)}
	case s.config.TLS:
		dial = s.dialTLS(dial)
	}
	opts := []kgo.Opt{kgo.Dialer(dial)}
	if s.mechanism != nil {
		opts = append(opts, kgo.SASL(s.mechanism))
	}
	return opts
}

// check refuses settings that do not go together.
func (c Config) check() error {
	for _, without := range []struct {
		name  string
		given bool
		needs string
		met   bool
	}{
		{"--kafka-ca", c.CAFile != "", "--kafka-tls", c.TLS},
		{"--kafka-cert", c.CertFile != "", "--kafka-tls", c.TLS},
		{"--kafka-key", c.KeyFile != "", "--kafka-tls", c.TLS},
		{"--kafka-tls-server-name", c.ServerName != "", "--kafka-tls", c.TLS},
		{"--kafka-cert", c.CertFile != "", "--kafka-key", c.KeyFile != ""},
		{"--kafka-key", c.KeyFile != "", "--kafka-cert", c.CertFile != ""},
		{"--kafka-user", c.User != "", "--kafka-sasl plain, scram-sha-256 or scram-sha-512", c.withPassword()},
		{"--kafka-password-file", c.PasswordFile != "", "--kafka-sasl plain, scram-sha-256 or scram-sha-512",
			c.withPassword()},
		{"$TASKLANE_KAFKA_PASSWORD", c.Password != "", "--kafka-sasl plain, scram-sha-256 or scram-sha-512",
			c.withPassword()},
		{"--kafka-token-file", c.TokenFile != "", "--kafka-sasl oauthbearer", c.SASL == SASLOAuthBearer},
		{"--kafka-token-url", c.Token.URL != "", "--kafka-sasl oauthbearer", c.SASL == SASLOAuthBearer},
		{"--kafka-sasl " + c.SASL, c.withPassword(), "--kafka-user", c.User != ""},
		{"--kafka-sasl " + c.SASL, c.withPassword(), "--kafka-password-file or $TASKLANE_KAFKA_PASSWORD",
			c.PasswordFile != "" || c.Password != ""},
		{"--kafka-sasl " + c.SASL, c.SASL == SASLOAuthBearer, "--kafka-token-file or --kafka-token-url",
			c.TokenFile != "" || c.Token.URL != ""},
	} {
		if without.given && !without.met {
			return fmt.Errorf("%s needs %s", without.name, without.needs)
		}
	}
	switch {
	case c.SASL != "" && !slices.Contains([]string{SASLPlain, SASLScram256, SASLScram512, SASLOAuthBearer}, c.SASL):
		return fmt.Errorf("--kafka-sasl %q: use plain, scram-sha-256, scram-sha-512 or oauthbearer", c.SASL)
	case c.PasswordFile != "" && c.Password != "":
		return errors.New("--kafka-password-file and $TASKLANE_KAFKA_PASSWORD are both given: keep one")
	case c.TokenFile != "" && c.Token.URL != "":
		return errors.New("--kafka-token-file and --kafka-token-url are both given: keep one")
	}
	return c.Token.check()
}

func (c Config) withPassword() bool {
	return c.SASL == SASLPlain || c.SASL == SASLScram256 || c.SASL == SASLScram512
}

// warn tells of what works and should not be.
func (s *Security) warn() {
	c := s.config
	for _, path := range []string{c.KeyFile, c.PasswordFile, c.TokenFile, c.Token.SecretFile} {
		if path == "" {
			continue
		}
		if warning := secretfile.Loose(path); warning != "" {
			c.Logger.Warn(warning)
		}
	}
	if !c.TLS && (c.SASL == SASLPlain || c.SASL == SASLOAuthBearer) {
		c.Logger.Warn("without --kafka-tls the password or token goes over the network as it is: whoever listens has it",
			"sasl", c.SASL)
	}
}

// Describe names what is used, for errors: no secret is in it.
func (s *Security) Describe() string {
	if s == nil {
		return "no TLS, no SASL"
	}
	text := "no TLS, "
	if s.config.TLS {
		text = "TLS, "
	}
	return text + cmp.Or(s.config.SASL, "no SASL")
}
