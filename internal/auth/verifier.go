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
func (v *Verifier) Refuse(reason Reason) *RefusalError { return v.Count(&RefusalError{Reason: reason}) }

// Count counts a refusal, and returns it.
func (v *Verifier) Count(r *RefusalError) *RefusalError {
	v.metrics.refused(r.Reason)
	return r
}

// Token says who a token speaks for. It may wait a few seconds for a key.
func (v *Verifier) Token(ctx context.Context, text string) (Identity, *RefusalError) {
	who, refused := v.token(ctx, text)
	if refused != nil {
		return Identity{}, v.Count(refused)
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
		return Identity{}, &RefusalError{Reason: Missing}
	case len(text) > MaxTokenBytes:
		return Identity{}, &RefusalError{Reason: TooLarge}
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
		return Identity{}, v.refusalOf(err, said)
	case !time.Now().Before(said.ExpiresAt.Time): // the leeway is not for this
		return Identity{}, &RefusalError{Reason: Expired}
	case said.ExpiresAt.Year() > 9999:
		return Identity{}, &RefusalError{Malformed, "the token's exp is after the year 9999; it counts seconds since 1970"}
	case said.Subject == "":
		return Identity{}, &RefusalError{BadSubject, "the token has no sub, which is the user"}
	case schemas.CheckUserID(said.Subject) != "":
		return Identity{}, &RefusalError{Reason: BadSubject}
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
	case critical:
		// It names what must be understood and is not; the parser would pass over it.
		return set, &RefusalError{Malformed, "the token's header has crit, and names with it what is not understood here"}
	case hasID && !isText:
		return set, &RefusalError{Malformed, "the token's kid is not text"}
	case !slices.Contains(algorithms(), algorithm(alg)):
		return set, &RefusalError{Reason: Algorithm}
	}
	fit, unfound := v.keys.find(ctx, algorithm(alg), id)
	for _, k := range fit {
		set.Keys = append(set.Keys, k.material)
	}
	return set, unfound
}

// refusalOf is the first thing that is wrong. What the parser says of it may
// quote the token and goes no further.
func (v *Verifier) refusalOf(err error, said *claims) *RefusalError {
	switch {
	case said.wrong != "":
		return &RefusalError{Malformed, said.wrong}
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &RefusalError{Reason: Malformed}
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return &RefusalError{Reason: Algorithm}
	case errors.Is(err, jwt.ErrTokenExpired):
		return &RefusalError{Reason: Expired}
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &RefusalError{NotYetValid, notYet("nbf")}
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return &RefusalError{NotYetValid, notYet("iat")}
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return &RefusalError{Reason: WrongIssuer}
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return &RefusalError{Reason: WrongAud}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return v.missing(said)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return &RefusalError{Reason: Signature}
	}
	return &RefusalError{Reason: Malformed}
}

func notYet(claim string) string {
	return "the token's " + claim + " is still to come; check the clocks of this server and of the token's issuer"
}

// missing is what is wrong with a token that has not all claims it needs.
func (v *Verifier) missing(said *claims) *RefusalError {
	switch {
	case said.ExpiresAt == nil:
		return &RefusalError{Malformed, "the token has no exp, which is when it ends"}
	case said.Issuer == "" && v.config.Issuer != "":
		return &RefusalError{WrongIssuer, "the token has no iss, which is asked for here"}
	}
	return &RefusalError{WrongAud, "the token has no aud, which is asked for here"}
}
