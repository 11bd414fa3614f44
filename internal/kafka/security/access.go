package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
)

// AccessError is why brokers and a client do not come together although they
// reach each other, with what to do about it.
type AccessError struct {
	Err error
	// Do is for the operator.
	Do string
	// Final is whether trying again cannot help.
	Final bool
}

func (e *AccessError) Error() string { return e.Err.Error() + "; " + e.Do }

// Unwrap returns the reason.
func (e *AccessError) Unwrap() error { return e.Err }

// errHandshake marks what goes wrong before TLS is agreed on.
var errHandshake = errors.New("begin TLS")

// Explain adds what to do to an error of a connection; to those that have nothing to do with TLS or SASL, nothing.
func (s *Security) Explain(err error) error {
	var already *AccessError
	if err == nil || errors.As(err, &already) {
		return err
	}
	for _, judge := range []func(error, *Security) (do string, final bool){judgeSASL, judgeCertificate, judgeProtocol} {
		if do, final := judge(err, s); do != "" {
			return &AccessError{Err: err, Do: do, Final: final}
		}
	}
	return err
}

func judgeSASL(err error, s *Security) (string, bool) {
	var refused *tokenRefusedError
	var issuer *tokenIssuerError
	switch {
	case s == nil:
		return "", false
	case errors.As(err, &issuer):
		return "check --kafka-token-url, --kafka-client-id and its secret, and that the issuer answers", false
	case errors.As(err, &refused):
		return "check that the token is for these brokers and has not expired (--kafka-token-file, --kafka-token-url)", true
	case errors.Is(err, kerr.SaslAuthenticationFailed) && s.config.SASL == SASLOAuthBearer:
		return "check that the token is for these brokers and has not expired (--kafka-token-file, --kafka-token-url)", true
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "the user or the password is wrong, or the user has no credentials for this mechanism: check --kafka-user, " +
			"--kafka-password-file ($TASKLANE_KAFKA_PASSWORD) and --kafka-sasl " + s.config.SASL, true
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the brokers do not have " + strings.ToUpper(s.config.SASL) +
			" turned on here: choose another --kafka-sasl, " +
			"or add it to sasl.enabled.mechanisms of the listener", true
	case errors.Is(err, kerr.IllegalSaslState):
		return "this port asks for no SASL: leave --kafka-sasl out, or name a port of a SASL listener with --brokers", true
	}
	return "", false
}

func judgeCertificate(err error, s *Security) (string, bool) {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var remote *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "the brokers' certificate is of an authority that is not known here: name its PEM file with --kafka-ca", true
	case errors.As(err, &name):
		return "the brokers' certificate is for another name: use that in --brokers and advertised.listeners, or say it " +
			"with --kafka-tls-server-name", true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the brokers' certificate has expired or is not valid yet: renew it, and check the clocks", true
	case errors.As(err, &invalid):
		return "the brokers' certificate cannot be used: have a new one made", true
	case errors.As(err, &remote) && remote.Op == "remote error" && s != nil && s.config.CertFile == "":
		return "the brokers refuse the connection; if they want a certificate of the client, " +
			"give --kafka-cert and --kafka-key", true
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "the brokers refuse the client's certificate: check that it has not expired and that their truststore has " +
			"its authority (--kafka-cert)", true
	}
	return "", false
}

// judgeProtocol finds the two ends to speak differently.
func judgeProtocol(err error, s *Security) (string, bool) {
	var record tls.RecordHeaderError
	withTLS, withSASL := s != nil && s.config.TLS, s != nil && s.config.SASL != ""
	silent := errors.Is(err, context.DeadlineExceeded)
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
	switch {
	case errors.As(err, &record):
		return "this port does not speak TLS: leave --kafka-tls out, or name a port of an SSL listener with --brokers", true
	case strings.Contains(err.Error(), "appear to be a tls alert"):
		return "this port speaks TLS: give --kafka-tls, or name another with --brokers", true
	case withTLS && silent && errors.Is(err, errHandshake):
		return "the other end does not answer TLS: if this port does not speak it leave --kafka-tls out, or name a port of " +
			"an SSL listener with --brokers", false
	case !ended:
		return "", false
	case withTLS && errors.Is(err, errHandshake):
		return "the other end hangs up on TLS: if this port does not speak it leave --kafka-tls out, or name a port of an " +
			"SSL listener with --brokers", false
	case withTLS && !withSASL:
		return "the brokers hang up: if they ask for SASL give --kafka-sasl, if they want a certificate " +
			"of the client give --kafka-cert", false
	case withTLS:
		return "the brokers hang up: check --kafka-sasl, user and password or token and, if they want a " +
			"certificate of the client, --kafka-cert", false
	case withSASL:
		return "the brokers hang up: if this port speaks TLS give --kafka-tls, and check " +
			"--kafka-sasl, user and password or token", false
	}
	return "the brokers hang up: if this port speaks TLS give --kafka-tls, if it asks for SASL give --kafka-sasl", false
}
