package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// identity is what the files of TLS say: whom to believe, and who the client is.
type identity struct {
	roots       *x509.CertPool    // nil for the system's
	certificate []tls.Certificate // none without --kafka-cert
}

func (c Config) readIdentity() (*identity, error) {
	id := new(identity)
	if c.CAFile != "" {
		content, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--kafka-ca: %w", err)
		}
		id.roots = x509.NewCertPool()
		if !id.roots.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("--kafka-ca: %s has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", c.CAFile)
		}
	}
	if c.CertFile == "" {
		return id, nil
	}
	cert, err := os.ReadFile(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("--kafka-cert: %w", err)
	}
	key, err := secretfile.Read(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("--kafka-key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--kafka-cert %s and --kafka-key %s: %w; want PEM, and a key without a password that "+
			"belongs to the certificate",
			c.CertFile, c.KeyFile, err)
	}
	if expired := pair.Leaf.NotAfter; time.Now().After(expired) {
		return nil, fmt.Errorf("--kafka-cert: the certificate in %s has expired at %s: have a new one made", c.CertFile,
			expired.UTC().Format(time.RFC3339))
	}
	id.certificate = []tls.Certificate{pair}
	return id, nil
}

// current reads the files again. While they are being changed, and may not fit
// together or be half written, those before count.
func (s *Security) current() *identity {
	id, err := s.config.readIdentity()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.last, s.warned = id, ""
		return id
	}
	if text := err.Error(); text != s.warned {
		s.config.Logger.Warn("files of TLS cannot be used; going on with what was in them before", "error", err)
		s.warned = text
	}
	return s.last
}

// Dialer opens a connection.
type Dialer func(ctx context.Context, network, host string) (net.Conn, error)

// dialTimeout bounds how long a connection may take to be opened and, once more, how long
// TLS may take to begin on it.
const dialTimeout = 5 * time.Second

// dialTLS opens connections as dial does and makes them safe.
func (s *Security) dialTLS(dial Dialer) Dialer {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		id := s.current()
		name := s.config.ServerName
		if name == "" {
			if name, _, err = net.SplitHostPort(host); err != nil {
				name = host
			}
		}
		safe := tls.Client(conn, &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: id.roots, Certificates: id.certificate, ServerName: name,
		})
		if err := safe.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, s.Explain(fmt.Errorf("%w with %s: %w", errHandshake, host, err))
		}
		return safe, nil
	}
}
