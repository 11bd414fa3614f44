// Package auth says who a caller is: it verifies JSON Web Tokens (RFC 7519) and
// makes the short-lived tickets that stand for one where a browser cannot send
// a header.
//
// # What is checked
//
// A token must be signed by a key of this installation and carry sub and exp.
// The key decides the algorithm, never the token: a secret is for HS256, an RSA
// key for RS256, a P-256 key for ES256, an Ed25519 key for EdDSA, and there are
// no others. The issuer and the audience are checked where they are configured,
// which they always are with keys from a URL. nbf and iat may be 60 s ahead of
// this clock; exp has no such grace, because connections end at that moment.
//
// # Where keys come from
//
// From files, read once by [New], or from the one URL in the configuration.
// Nothing a token says chooses a URL or a file: jku, x5u and iss are not
// followed. Keys from the URL are kept by key id and algorithm; they are fetched
// at the start, every five minutes, and when a token names a key id that is not
// known, at most every five seconds, whoever asks how often. While the URL does
// not answer the last keys stay in use; before the first answer nobody is let
// in, and told to come back.
//
// # What is never shown
//
// No part of a token, secret or ticket is in an error, an answer or a log line.
package auth
