package security

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
)

// Principal is who a client is to the brokers, unless they map names to others.
func (s *Security) Principal() string {
	switch {
	case s == nil:
		return "User:ANONYMOUS"
	case s.config.withPassword():
		return "User:" + s.config.User
	case s.config.SASL == SASLOAuthBearer:
		return "User:" + s.subject()
	case s.last != nil && len(s.last.certificate) > 0:
		return "User:" + s.last.certificate[0].Leaf.Subject.String()
	}
	return "User:ANONYMOUS"
}

// subject is whom the token names, as far as it can be read.
func (s *Security) subject() string {
	token, err := s.config.tokenOfFile(context.Background())
	if err != nil {
		return s.config.Token.ID
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return "<the token's sub>"
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil || claims.Subject == "" {
		return "<the token's sub>"
	}
	return claims.Subject
}
