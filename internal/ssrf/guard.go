// Package ssrf keeps requests that this process makes on behalf of others away from
// addresses that only it can reach: whoever may name a URL could otherwise have it
// talk to loopback, to private networks, or to a cloud's metadata service (server-side
// request forgery).
//
// A [Guard] judges addresses, not names: a name is looked up once for each connection,
// and what is dialled is what was judged. A name may have several addresses, each with
// a verdict of its own: those that may be reached are tried, and only if none may is
// the answer a [RefusedError], which another try would not change.
//
// It judges every connection and nothing else: a proxy would look names up out of its
// sight, so [Guard.Transport] uses none. What is redirected is judged like any other
// request.
package ssrf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// RefusedError says that nothing that a name stands for may be reached. It stays so
// until the name, or the configuration, is another one.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// Config says what may be reached. The zero value allows public addresses only.
type Config struct {
	// Allow are addresses that are not public and may be reached all the same, at any
	// port.
	Allow []netip.Prefix
	// Option is what names them, for refusals: --webhook-allow.
	Option string
	// DialTimeout bounds the look-up and the connection together (5 s).
	DialTimeout time.Duration
	// Lookup looks names up; nil is the system's.
	Lookup Lookup
}

// Guard decides which addresses may be reached. It is safe for concurrent use.
type Guard struct {
	config Config
	dialer net.Dialer
}

// New makes a guard. It starts nothing.
func New(c Config) *Guard {
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.Lookup == nil {
		c.Lookup = net.DefaultResolver.LookupNetIP
	}
	g := &Guard{config: c}
	g.dialer.Control = g.control
	return g
}

// Check is nil for an address that may be reached, else a *[RefusedError].
func (g *Guard) Check(target netip.AddrPort) error {
	// A zone would keep every prefix from matching.
	address := target.Addr().Unmap().WithZone("")
	for _, prefix := range g.config.Allow {
		if prefix.Contains(address) {
			return nil
		}
	}
	if kind := notPublic(address); kind != "" {
		reason := fmt.Sprintf("%s is %s, no public address", address, kind)
		if g.config.Option != "" {
			reason += "; " + g.config.Option + " can name it"
		}
		return &RefusedError{reason}
	}
	if port := target.Port(); port != 80 && port != 443 && port < 1024 {
		return &RefusedError{fmt.Sprintf("port %d is another service's; use 80, 443, or 1024 and above", port)}
	}
	return nil
}

// control is the dialer's: whatever it is about to connect to is judged once more.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &RefusedError{fmt.Sprintf("%q is no address", address)}
	}
	return g.Check(target)
}

// permitted are the targets that may be reached, and why the others may not.
func (g *Guard) permitted(targets []netip.AddrPort) (allowed []netip.AddrPort, refused *RefusedError) {
	var reasons []string
	for _, target := range targets {
		if err := g.Check(target); err == nil {
			allowed = append(allowed, target)
		} else if why := err.Error(); len(reasons) < maxTargets && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	return allowed, &RefusedError{strings.Join(reasons, "; ")}
}

// Refused is the guard's verdict within an error, nil if it has none.
func Refused(err error) *RefusedError {
	var r *RefusedError
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// ParseAllow reads the addresses and ranges that an option names. A single address is
// a range of its own.
func ParseAllow(option string, texts []string) ([]netip.Prefix, error) {
	var allow []netip.Prefix
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
			address = address.Unmap()
			allow = append(allow, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil || prefix.Addr().Is4In6():
			return nil, fmt.Errorf("%s %q: want an address or a range such as 10.1.0.0/16 or fd00::/8", option, text)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("%s %q has bits beyond its length: write %s", option, text, prefix.Masked())
		}
		allow = append(allow, prefix)
	}
	return allow, nil
}
