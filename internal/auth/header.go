package auth

import (
	"net/http"
	"strings"
)

// protocolPrefix marks the subprotocol that carries a token. A browser can set
// no other header on a WebSocket. The characters of a JWT are all allowed there.
const protocolPrefix = "bearer."

// FromHeader is the token in a request's headers, "" if there is none. More
// than one is refused: which counts would be a matter of who reads it. The
// refusal is not counted yet.
func FromHeader(header http.Header) (string, *RefusalError) {
	var found []string
	for _, value := range header.Values("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", &RefusalError{Reason: Scheme}
		}
		found = append(found, strings.TrimSpace(token))
	}
	for _, value := range header.Values("Sec-Websocket-Protocol") {
		for offered := range strings.SplitSeq(value, ",") {
			if token, is := strings.CutPrefix(strings.TrimSpace(offered), protocolPrefix); is {
				found = append(found, token)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", &RefusalError{Malformed, "a token is given more than once; send one, as Authorization: Bearer TOKEN"}
}
