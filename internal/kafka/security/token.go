package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/aiecs/tasklane/internal/secretfile"
)

// TokenClient takes tokens for OAUTHBEARER from an issuer, as a client with a
// secret (RFC 6749, 4.4: client credentials).
type TokenClient struct {
	// URL is the issuer's token endpoint.
	URL string
	ID  string
	// Secret is the client's, if it is not in SecretFile.
	Secret, SecretFile string
	// Scopes are asked for, separated by spaces.
	Scopes string
}

// tokenTimeout bounds one request for a token.
const tokenTimeout = 10 * time.Second

func (t TokenClient) check() error {
	for _, without := range []struct {
		name  string
		given bool
		needs string
		met   bool
	}{
		{"--kafka-client-id", t.ID != "", "--kafka-token-url", t.URL != ""},
		{"--kafka-client-secret-file", t.SecretFile != "", "--kafka-token-url", t.URL != ""},
		{"$TASKLANE_KAFKA_CLIENT_SECRET", t.Secret != "", "--kafka-token-url", t.URL != ""},
		{"--kafka-scope", t.Scopes != "", "--kafka-token-url", t.URL != ""},
		{"--kafka-token-url", t.URL != "", "--kafka-client-id", t.ID != ""},
		{"--kafka-token-url", t.URL != "", "--kafka-client-secret-file or $TASKLANE_KAFKA_CLIENT_SECRET",
			t.Secret != "" || t.SecretFile != ""},
	} {
		if without.given && !without.met {
			return fmt.Errorf("%s needs %s", without.name, without.needs)
		}
	}
	if t.Secret != "" && t.SecretFile != "" {
		return fmt.Errorf("--kafka-client-secret-file and $TASKLANE_KAFKA_CLIENT_SECRET are both given: keep one")
	}
	if t.URL == "" {
		return nil
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("--kafka-token-url %q: want the URL of the issuer's token endpoint, https://…", t.URL)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" &&
		(ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--kafka-token-url %q: the client's secret would go over the network as it is; use https", t.URL)
	}
	return nil
}

// new is what gives the token, which it keeps until shortly before its end.
func (t TokenClient) new(c Config) (func(context.Context) (string, error), error) {
	if _, err := t.secret(); err != nil {
		return nil, err
	}
	client, err := c.issuerClient()
	if err != nil {
		return nil, err
	}
	k := &keptToken{client: t, http: client}
	return k.get, nil
}

func (t TokenClient) secret() (string, error) {
	if t.SecretFile == "" {
		return t.Secret, nil
	}
	secret, err := secretfile.ReadText(t.SecretFile)
	if err != nil {
		return "", fmt.Errorf("--kafka-client-secret-file: %w", err)
	}
	return secret, nil
}

// issuerClient believes the system's authorities and those of --kafka-ca: an issuer of one's own often has the same.
func (c Config) issuerClient() (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if id, err := c.readIdentity(); err != nil {
		return nil, err
	} else if id.roots != nil {
		content, err := secretfile.Read(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--kafka-ca: %w", err)
		}
		roots.AppendCertsFromPEM(content)
	}
	return &http.Client{
		Timeout: tokenTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}},
	}, nil
}

// keptToken is shared by all connections.
type keptToken struct {
	client TokenClient
	http   *http.Client

	mu    sync.Mutex // also held while a token is fetched: all wait for the same
	token *oauth2.Token
}

// get is a token that is valid, a new one if need be.
func (k *keptToken) get(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token.Valid() {
		return k.token.AccessToken, nil
	}
	secret, err := k.client.secret()
	if err != nil {
		return "", err
	}
	config := clientcredentials.Config{
		ClientID: k.client.ID, ClientSecret: secret, TokenURL: k.client.URL, Scopes: strings.Fields(k.client.Scopes),
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, k.http), tokenTimeout)
	defer cancel()
	token, err := config.Token(ctx)
	if err != nil {
		return "", &tokenIssuerError{url: k.client.URL, err: err}
	}
	k.token = token
	return token.AccessToken, nil
}

// tokenIssuerError is that the issuer gave no token. The library's text has the
// issuer's answer in it, never the secret.
type tokenIssuerError struct {
	url string
	err error
}

func (e *tokenIssuerError) Error() string {
	return fmt.Sprintf("fetch a token from %s: %.500s", e.url, e.err.Error())
}

func (e *tokenIssuerError) Unwrap() error { return e.err }
