package security

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// newMechanism is nil without SASL. What it needs is read now, so that a file
// that is missing is told of at the start.
func (c Config) newMechanism() (sasl.Mechanism, error) {
	if c.withPassword() {
		if _, err := c.password(); err != nil {
			return nil, err
		}
	}
	switch c.SASL {
	case SASLPlain:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := c.password()
			return plain.Auth{User: c.User, Pass: password}, err
		}), nil
	case SASLScram256:
		return scram.Sha256(c.scram), nil
	case SASLScram512:
		return scram.Sha512(c.scram), nil
	case SASLOAuthBearer:
		return c.newBearer()
	}
	return nil, nil
}

func (c Config) scram(context.Context) (scram.Auth, error) {
	password, err := c.password()
	return scram.Auth{User: c.User, Pass: password}, err
}

func (c Config) password() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	password, err := secretfile.ReadText(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("--kafka-password-file: %w", err)
	}
	return password, nil
}

// bearer is OAUTHBEARER whose refusals can be read.
type bearer struct{ sasl.Mechanism }

func (c Config) newBearer() (sasl.Mechanism, error) {
	token := c.tokenOfFile
	if c.Token.URL != "" {
		client, err := c.Token.new(c)
		if err != nil {
			return nil, err
		}
		token = client
	} else if _, err := token(context.Background()); err != nil {
		return nil, err
	}
	return bearer{oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		text, err := token(ctx)
		return oauth.Auth{Token: text}, err
	})}, nil
}

func (c Config) tokenOfFile(context.Context) (string, error) {
	token, err := secretfile.ReadText(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("--kafka-token-file: %w", err)
	}
	return token, nil
}

// Authenticate begins a session.
func (b bearer) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := b.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // it says where the token comes from
	}
	return bearerSession{session}, first, nil
}

type bearerSession struct{ sasl.Session }

// tokenRefusedError is the broker's answer to a token.
type tokenRefusedError struct{ answer string }

func (e *tokenRefusedError) Error() string {
	return fmt.Sprintf("the broker refuses the token: %.300s", e.answer)
}

// Challenge reads the broker's answer, which is empty if it takes the token (RFC 7628, 3.2.2 and 3.2.3).
func (s bearerSession) Challenge(answer []byte) (bool, []byte, error) {
	if len(answer) > 0 {
		return false, nil, &tokenRefusedError{string(answer)}
	}
	return s.Session.Challenge(answer) //nolint:wrapcheck // it is the session
}
