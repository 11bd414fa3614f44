package main

import (
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/security"
)

// securityFlags say how Kafka's brokers and this process prove to each other who
// they are. They are the same for every command with --brokers.
type securityFlags struct {
	config                 security.Config
	password, clientSecret secretFlag
}

func (f *securityFlags) addTo(flags *pflag.FlagSet) {
	c := &f.config
	flags.BoolVar(&c.TLS, "kafka-tls", false, "connect to the brokers with TLS and check their certificates")
	flags.StringVar(&c.CAFile, "kafka-ca", "",
		"PEM file with the authorities of the brokers' certificates; the system's if not given")
	flags.StringVar(&c.CertFile, "kafka-cert", "",
		"PEM file with this client's certificate, where the brokers ask for one (mTLS)")
	flags.StringVar(&c.KeyFile, "kafka-key", "", "PEM file with its private key, without a password")
	flags.StringVar(&c.ServerName, "kafka-tls-server-name", "",
		"name in the brokers' certificates, if it is not that of their address")
	flags.StringVar(&c.SASL, "kafka-sasl", "",
		"how this client proves who it is: plain, scram-sha-256, scram-sha-512 or oauthbearer")
	flags.StringVar(&c.User, "kafka-user", "", "user for plain and SCRAM")
	flags.StringVar(&c.PasswordFile, "kafka-password-file", "",
		"file with the user's password; or $TASKLANE_KAFKA_PASSWORD has it [$TASKLANE_KAFKA_PASSWORD_FILE]")
	flags.StringVar(&c.TokenFile, "kafka-token-file", "",
		"file with the token of oauthbearer, read again for every connection")
	flags.StringVar(&c.Token.URL, "kafka-token-url", "",
		"token endpoint of the issuer that gives the token of oauthbearer (client credentials), instead of a file")
	flags.StringVar(&c.Token.ID, "kafka-client-id", "", "who this client is to that issuer")
	flags.StringVar(&c.Token.SecretFile, "kafka-client-secret-file", "",
		"file with its secret there; or $TASKLANE_KAFKA_CLIENT_SECRET has it [$TASKLANE_KAFKA_CLIENT_SECRET_FILE]")
	flags.StringVar(&c.Token.Scopes, "kafka-scope", "", "scopes to ask that issuer for, separated by spaces")
	for name, secret := range map[string]*secretFlag{"kafka-password": &f.password,
		"kafka-client-secret": &f.clientSecret} {
		flags.Var(secret, name, "from the environment only")
		flags.Lookup(name).Hidden = true
	}
}

// use reads what the flags name. It refuses flags that would have no effect.
func (f *securityFlags) use(brokers []string, log *slog.Logger) (*security.Security, error) {
	c := f.config
	c.Password, c.Token.Secret, c.Logger = string(f.password), string(f.clientSecret), log
	security, err := security.New(c)
	switch {
	case err != nil:
		return nil, cli.AsUsage(err)
	case security != nil && len(brokers) == 0:
		return nil, cli.Usagef("--kafka-tls and --kafka-sasl are for a Kafka of one's own, which --brokers names; the " +
			"embedded broker is on this machine only and has neither")
	}
	return security, nil
}
