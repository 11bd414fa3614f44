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
}

// UnmarshalJSON reads names exactly and each once. The standard library would
// take a claim "SUB", which a provider may let its users choose, for sub.
func (c *claims) UnmarshalJSON(data []byte) error {
	type plain claims
	return json.Unmarshal(data, (*plain)(c))
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
