package auth

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// claims are a token's claims as far as they matter here.
type claims struct {
	jwt.RegisteredClaims
	Scope scopes `json:"scope,omitzero"`
	// SCP is what some providers call it.
	SCP scopes `json:"scp,omitzero"`

	wrong string // what is wrong with the form of them, for [RefusalError]
}

// UnmarshalJSON reads names exactly and each once. The standard library would
// take a claim "SUB", which a provider may let its users choose, for sub.
func (c *claims) UnmarshalJSON(data []byte) error {
	type plain claims
	err := json.Unmarshal(data, (*plain)(c))
	if err != nil {
		c.wrong = misformed(err)
	}
	// A time that is wrong is told first: the library's own reading of one says less.
	if name, wrong := misformedTime(data); wrong != "" {
		c.wrong, err = "the token's "+name+" "+wrong, errTime
	}
	return err
}

// misformed names the claim that the reader gave up at.
func misformed(err error) string {
	var shape *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &shape):
		switch name := firstToken(shape.JSONPointer); name {
		case "iss", "sub", "jti":
			return "the token's " + name + " is not text"
		case "aud", "scope", "scp":
			return "the token's " + name + " is neither text nor a list of texts"
		}
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		switch name := firstToken(syntax.JSONPointer); name {
		case "iss", "sub", "jti", "aud", "scope", "scp", "exp", "nbf", "iat":
			return "the token's claims have " + name + " twice"
		}
	}
	return "the token's claims are no JSON object that has each name once"
}

func firstToken(p jsontext.Pointer) string {
	for token := range p.Tokens() {
		return token
	}
	return ""
}

// times are the claims that RFC 7519 calls NumericDate.
type times struct {
	Expires   jsontext.Value `json:"exp,omitzero"`
	NotBefore jsontext.Value `json:"nbf,omitzero"`
	IssuedAt  jsontext.Value `json:"iat,omitzero"`
}

// lastTime is the end of the year 9999 in seconds since 1970.
const lastTime = 253402300799

var errTime = errors.New("want a number of seconds since 1970")

// misformedTime finds what the library takes for a time and is none: digits in a text, and
// numbers so large that they come out as a time in the past. It says nothing of what is no object.
func misformedTime(data []byte) (name, wrong string) {
	var t times
	if json.Unmarshal(data, &t) != nil {
		return "", ""
	}
	for _, one := range []struct {
		name string
		said jsontext.Value
	}{{"exp", t.Expires}, {"nbf", t.NotBefore}, {"iat", t.IssuedAt}} {
		if len(one.said) == 0 || one.said.Kind() == jsontext.KindNull {
			continue
		}
		var seconds float64
		switch {
		case one.said.Kind() != jsontext.KindNumber || json.Unmarshal(one.said, &seconds) != nil || seconds < 0:
			return one.name, "is no number of seconds since 1970"
		case seconds > lastTime:
			return one.name, "is after the year 9999; it counts seconds since 1970, not milliseconds"
		}
	}
	return "", ""
}

func (c *claims) has(scope string) bool {
	return slices.Contains(c.Scope, scope) || slices.Contains(c.SCP, scope)
}

// scopes is a list, or one text with spaces between.
type scopes []string

var errScopes = errors.New("want a text or a list of texts")

// UnmarshalJSON reads both forms.
func (s *scopes) UnmarshalJSON(data []byte) error {
	switch jsontext.Value(data).Kind() {
	case jsontext.KindNull:
		return nil
	case jsontext.KindString:
		var text string
		err := json.Unmarshal(data, &text)
		*s = strings.Fields(text)
		return err
	case jsontext.KindBeginArray:
		return json.Unmarshal(data, (*[]string)(s))
	}
	return errScopes
}
