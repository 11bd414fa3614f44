package auth

import (
	"net/http"
	"strings"
)

// Reason is why a caller is not let in, as the metrics count it.
type Reason string

// The reasons there are.
const (
	Missing      Reason = "missing"
	Scheme       Reason = "scheme"
	Malformed    Reason = "malformed"
	TooLarge     Reason = "too_large"
	Algorithm    Reason = "algorithm"
	UnknownKey   Reason = "unknown_key"
	NoKeyID      Reason = "no_key_id"
	Signature    Reason = "signature"
	Expired      Reason = "expired"
	NotYetValid  Reason = "not_yet_valid"
	WrongIssuer  Reason = "issuer"
	WrongAud     Reason = "audience"
	BadSubject   Reason = "subject"
	BadTicket    Reason = "ticket"
	LateTicket   Reason = "ticket_expired"
	UsedTicket   Reason = "ticket_used"
	OtherUser    Reason = "other_user"
	AdminOnly    Reason = "admin_only"
	KeysMissing  Reason = "keys_missing"
	KeysWaiting  Reason = "keys_waiting"
	TicketsFull  Reason = "tickets_full"
	TokenInQuery Reason = "token_in_query"
)

// RefusalError is a caller that is not let in. Its texts hold nothing of what the
// caller sent, and nothing of the configuration.
type RefusalError struct {
	Reason Reason
	// Wrong says of a token which of its claims or header members is at fault and how, where
	// the reason alone does not; "" else.
	Wrong string
}

// Error says why.
func (r *RefusalError) Error() string { return "not authorised: " + r.Detail() }

// Status is the HTTP status to answer with: 401 for a caller who has to prove
// itself (again), 403 for one who may not do this, 503 for one who should come
// back.
func (r *RefusalError) Status() int {
	switch r.Reason {
	case OtherUser, AdminOnly:
		return http.StatusForbidden
	case KeysMissing, KeysWaiting, TicketsFull:
		return http.StatusServiceUnavailable
	case TokenInQuery:
		return http.StatusBadRequest
	}
	return http.StatusUnauthorized
}

// Detail says what is wrong and what to do about it.
func (r *RefusalError) Detail() string {
	if r.Wrong != "" {
		return r.Wrong
	}
	switch r.Reason {
	case Missing:
		return "this server wants to know who you are; send Authorization: Bearer TOKEN"
	case Scheme:
		return "the Authorization header has another scheme than Bearer; send Authorization: Bearer TOKEN"
	case Malformed:
		return "the token is no signed JWT: three parts of base64url with dots between"
	case TooLarge:
		return "the token is larger than 8 KiB"
	case Algorithm:
		return "the token's alg is not accepted; use HS256, RS256, ES256 or EdDSA"
	case UnknownKey:
		return "the token's kid names no key of the issuer with its alg: its signature cannot be checked"
	case NoKeyID:
		return "the token's header has no kid, by which the issuer's keys are told apart"
	case Signature:
		return "the token's signature is not right: it was signed with another key, or changed since"
	case Expired:
		return "the token has expired, by its exp; get a new one"
	case NotYetValid:
		return "the token is not valid yet, by its nbf or iat; check the clocks of this server and of the issuer"
	case WrongIssuer:
		return "the token's iss is not the issuer that this server takes tokens of"
	case WrongAud:
		return "the token's aud is for other servers and not for this one"
	case BadSubject:
		return "the token's sub cannot be a user_id, which has 1 to 200 characters, none of them a control"
	}
	return r.otherDetail()
}

func (r *RefusalError) otherDetail() string {
	switch r.Reason {
	case BadTicket:
		return "the ticket is not one of this installation, or of another instance; get a new one"
	case LateTicket:
		return "the ticket has expired; get a new one"
	case UsedTicket:
		return "the ticket was used before; get a new one"
	case OtherUser:
		return "the token is for another user than the user_id that is named"
	case AdminOnly:
		return "only a token with the admin scope may do this"
	case KeysMissing:
		return "the keys that tokens are checked with cannot be had just now; try again"
	case KeysWaiting:
		return "too many callers wait for the keys that tokens are checked with; try again"
	case TicketsFull:
		return "too many tickets are in use; try again"
	case TokenInQuery:
		return "tokens are not taken from the query, where they would end up in logs; use the Authorization header, a " +
			"subprotocol, the first message or a ticket"
	}
	return string(r.Reason)
}

// Challenge is the value of WWW-Authenticate (RFC 6750) for a 401, else "".
func (r *RefusalError) Challenge() string {
	switch {
	case r.Status() != http.StatusUnauthorized:
		return ""
	case r.Reason == Missing, r.Reason == Scheme: // neither is a token that is wrong
		return `Bearer realm="tasklane"`
	}
	return `Bearer realm="tasklane", error="invalid_token", error_description="` + strings.ReplaceAll(r.Detail(), `"`,
		"'") + `"`
}
