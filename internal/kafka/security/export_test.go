package security

import "context"

// NewToken is what gives tokens of an issuer.
func NewToken(c Config) (func(context.Context) (string, error), error) { return c.Token.new(c) }
