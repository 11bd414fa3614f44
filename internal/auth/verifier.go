package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/aiecs/tasklane/schemas"
)

const (
	// MaxTokenBytes is the largest token.
	MaxTokenBytes = 8 << 10
	// leeway is how far this clock may be behind the one that set nbf and iat.
	leeway = 60 * time.Second
)

// Verifier checks tokens and tickets. It is safe for concurrent use. With auth
// off it lets everybody in.
type Verifier struct {
	config  Config
	keys    keys
	remote  *keySet // nil with files
	tickets *tickets
	parser  *jwt.Parser
	metrics *meters
}

// New checks the configuration and reads the files it names. It starts nothing.
func New(c Config) (*Verifier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure auth: %w", err)
	}
	v := &Verifier{config: c}
	v.metrics = newMeters(v)
	if !c.On() {
		return v, nil
	}
	v.parser = newParser(c)
	if c.JWKSURL != "" {
		v.remote = newKeySet(fetchFrom(c.JWKSURL), c.Logger)
		v.keys = v.remote
	} else if v.keys, err = readFileKeys(c); err != nil {
		return nil, fmt.Errorf("configure auth: %w", err)
	}
	if v.tickets, err = newTicketsFor(c); err != nil {
		return nil, fmt.Errorf("configure auth: %w", err)
	}
	return v, nil
}

func newParser(c Config) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway),
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if c.Audience != "" {
		options = append(options, jwt.WithAudience(c.Audience))
	}
	return jwt.NewParser(options...)
}

// On reports whether callers have to prove who they are. A nil Verifier asks
// for nothing.
func (v *Verifier) On() bool { return v != nil && v.config.On() }

// Run fetches keys until the context ends, or returns at once where there is
// nothing to fetch.
func (v *Verifier) Run(ctx context.Context) {
	if v.remote != nil {
		v.remote.run(ctx)
	}
}

// Ready is closed when tokens can be checked.
func (v *Verifier) Ready() <-chan struct{} {
	if v.remote != nil {
		return v.remote.ready
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}

// IsReady reports whether tokens can be checked.
func (v *Verifier) IsReady() bool {
	select {
	case <-v.Ready():
		return true
	default:
		return false
	}
}

// WritePrometheus writes the metrics in Prometheus text format.
func (v *Verifier) WritePrometheus(w io.Writer) { v.metrics.set.WritePrometheus(w) }

// Refuse is a refusal that is counted.
func (v *Verifier) Refuse(reason Reason) *RefusalError {
	v.metrics.refused(reason)
	return &RefusalError{reason}
}

// Token says who a token speaks for. It may wait a few seconds for a key.
func (v *Verifier) Token(ctx context.Context, text string) (Identity, *RefusalError) {
	who, refused := v.token(ctx, text)
	if refused != nil {
		return Identity{}, v.Refuse(refused.Reason)
	}
	return who, nil
}

// Settle says for which user a caller acts that names one, or none: then it is
// the caller itself.
func (v *Verifier) Settle(who Identity, user string) (string, *RefusalError) {
	switch {
	case user == "":
		return who.User, nil
	case !who.MayActFor(user):
		return "", v.Refuse(OtherUser)
	}
	return user, nil
}

func (v *Verifier) token(ctx context.Context, text string) (Identity, *RefusalError) {
	switch {
	case text == "":
		return Identity{}, &RefusalError{Missing}
	case len(text) > MaxTokenBytes:
		return Identity{}, &RefusalError{TooLarge}
	}
	said := new(claims)
	var unfound *RefusalError
	_, err := v.parser.ParseWithClaims(text, said, func(t *jwt.Token) (any, error) {
		var material jwt.VerificationKeySet
		material, unfound = v.materialFor(ctx, t.Header)
		if unfound != nil {
			return nil, errUnfound
		}
		return material, nil
	})
	switch {
	case unfound != nil:
		return Identity{}, unfound
	case err != nil:
		return Identity{}, &RefusalError{v.reasonOf(err, said)}
	case !time.Now().Before(said.ExpiresAt.Time): // the leeway is not for this
		return Identity{}, &RefusalError{Expired}
	case said.ExpiresAt.Year() > 9999:
		return Identity{}, &RefusalError{Malformed}
	case schemas.CheckUserID(said.Subject) != "":
		return Identity{}, &RefusalError{BadSubject}
	}
	return Identity{User: said.Subject, Admin: said.has(v.config.AdminScope), Expires: said.ExpiresAt.Time}, nil
}

var errUnfound = errors.New("no key")

// materialFor gives the keys that may have signed a token with this header.
func (v *Verifier) materialFor(ctx context.Context, header map[string]any) (jwt.VerificationKeySet, *RefusalError) {
	var set jwt.VerificationKeySet
	alg, _ := header["alg"].(string) // the parser has looked at it
	id, isText := header["kid"].(string)
	_, hasID := header["kid"]
	_, critical := header["crit"]
	switch {
	case critical, hasID && !isText:
		// crit names what must be understood and is not; the parser would pass
		// over it.
		return set, &RefusalError{Malformed}
	case !slices.Contains(algorithms(), algorithm(alg)):
		return set, &RefusalError{Algorithm}
	}
	fit, unfound := v.keys.find(ctx, algorithm(alg), id)
	for _, k := range fit {
		set.Keys = append(set.Keys, k.material)
	}
	return set, unfound
}

// reasonOf is the first thing that is wrong. What the parser says of it may
// quote the token and goes no further.
func (v *Verifier) reasonOf(err error, said *claims) Reason {
	for _, one := range []struct {
		err    error
		reason Reason
	}{
		{jwt.ErrTokenMalformed, Malformed},
		{jwt.ErrTokenUnverifiable, Algorithm},
		{jwt.ErrTokenExpired, Expired},
		{jwt.ErrTokenNotValidYet, NotYetValid},
		{jwt.ErrTokenUsedBeforeIssued, NotYetValid},
		{jwt.ErrTokenInvalidIssuer, WrongIssuer},
		{jwt.ErrTokenInvalidAudience, WrongAud},
		{jwt.ErrTokenRequiredClaimMissing, v.missing(said)},
		{jwt.ErrTokenSignatureInvalid, Signature},
	} {
		if errors.Is(err, one.err) {
			return one.reason
		}
	}
	return Malformed
}

// missing is what is wrong with a token that has not all claims it needs.
func (v *Verifier) missing(said *claims) Reason {
	switch {
	case said.ExpiresAt == nil:
		return Malformed
	case said.Issuer == "" && v.config.Issuer != "":
		return WrongIssuer
	}
	return WrongAud
}
