package httpservice

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"github.com/aiecs/tasklane/internal/ssrf"
)

// Config is a service that is asked over HTTP.
type Config struct {
	Mode, Name string
	// URL takes tasks by POST, and describes the service by GET.
	URL string
	// Headers are sent with every request. Their values are secrets.
	Headers map[string]string
	// Allow are addresses beside the public ones that the URL's name may have. An address that stands in the URL
	// itself is allowed by that.
	Allow []netip.Prefix
	// MaxInflight is how many tasks of a lane it is asked at once; 0 is what it says itself, or no bound.
	MaxInflight int
	// MaxAnswer is the most bytes of an answer, 64 MiB if not given.
	MaxAnswer int64
	// ConnectTimeout is how long a connection may take to be made, 5 seconds if not given.
	ConnectTimeout time.Duration
	Logger         *slog.Logger

	lookup ssrf.Lookup // of names; the system's if nil
}

const (
	defaultMaxAnswer      = 64 << 20
	defaultConnectTimeout = 5 * time.Second
)

func (c *Config) setDefaults() {
	if c.MaxAnswer == 0 {
		c.MaxAnswer = defaultMaxAnswer
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// validate is the URL, or why the configuration cannot be used.
func (c *Config) validate() (*url.URL, error) {
	at, err := url.Parse(c.URL)
	switch {
	case c.Mode == "" || c.Name == "":
		return nil, errors.New("a service needs a mode and a name")
	case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "":
		return nil, fmt.Errorf("%q is no URL of a server", c.URL)
	case at.User != nil:
		return nil, errors.New("the URL must not hold a user or password; use a header")
	case c.MaxInflight < 0 || c.MaxAnswer < 0 || c.ConnectTimeout < 0:
		return nil, errors.New("a bound must not be negative; 0 is the default")
	}
	return at, nil
}

// allowed are the addresses that may be reached: those of the configuration, and one that its URL names.
func (c *Config) allowed(host string) []netip.Prefix {
	allow := c.Allow
	if host == "localhost" {
		return append(allow[:len(allow):len(allow)], netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap().WithZone("")
		return append(allow[:len(allow):len(allow)], netip.PrefixFrom(address, address.BitLen()))
	}
	return allow
}
