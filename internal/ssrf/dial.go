package ssrf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Lookup finds the addresses of a name, of the network ip, ip4 or ip6, as
// [net.Resolver.LookupNetIP] does.
type Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

const (
	// headStart is how long an address is tried alone before the next one is too.
	headStart = 300 * time.Millisecond
	// maxTargets bounds how many addresses of a name are tried for one connection.
	maxTargets = 8
)

// Transport makes requests that go where the guard lets them: with no proxy, and with
// bounds that the caller may set otherwise. A redirect is another request: who does not
// want any sets the client's CheckRedirect.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            g.DialContext,
		TLSHandshakeTimeout:    g.config.DialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           128,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
	}
}

// DialContext connects to an address of a name that may be reached. The error wraps a
// *[RefusedError] only if every address is known and none may be; whatever else goes
// wrong may go well another time.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.DialTimeout)
	defer cancel()
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial: port %q is no number up to 65535", portText)
	}
	targets, err := g.lookUp(ctx, "ip", host, uint16(port))
	if err != nil {
		return nil, err
	}
	allowed, refused := g.permitted(targets)
	if len(allowed) == 0 {
		if err := g.complete(ctx, host); err != nil {
			return nil, err
		}
		return nil, refused
	}
	return g.race(ctx, network, allowed[:min(len(allowed), maxTargets)])
}

func (g *Guard) lookUp(ctx context.Context, network, host string, port uint16) ([]netip.AddrPort, error) {
	addresses := make([]netip.Addr, 1)
	var err error
	if addresses[0], err = netip.ParseAddr(host); err != nil {
		if addresses, err = g.config.Lookup(ctx, network, host); err != nil {
			return nil, fmt.Errorf("look up name: %w", err)
		}
	}
	targets := make([]netip.AddrPort, 0, len(addresses))
	for _, a := range addresses {
		targets = append(targets, netip.AddrPortFrom(a.Unmap(), port))
	}
	if len(targets) == 0 {
		return nil, errors.New("look up name: it has no address")
	}
	return targets, nil
}

// complete is an error if not all addresses of a name are known: a look-up of both
// families succeeds with those of one if only the other's servers do not answer, and
// the ones that are missing may be the ones that may be reached.
func (g *Guard) complete(ctx context.Context, host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	for _, family := range []string{"ip4", "ip6"} {
		_, err := g.config.Lookup(ctx, family, host)
		var dns *net.DNSError
		var none *net.AddrError
		if err == nil || errors.As(err, &none) || errors.As(err, &dns) && dns.IsNotFound {
			continue
		}
		return fmt.Errorf("look up all addresses of the name: %w", err)
	}
	return nil
}

// race connects to the first target that answers. Each has a head start before the
// next; one that fails has none.
func (g *Guard) race(ctx context.Context, network string, targets []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		conn net.Conn
		err  error
	}
	answers := make(chan answer, len(targets))
	next := time.NewTimer(0)
	defer next.Stop()
	var failed []error
	for begun := 0; len(failed) < len(targets); {
		select {
		case <-next.C:
			if begun == len(targets) {
				continue
			}
			target := targets[begun]
			begun++
			go func() {
				conn, err := g.dialer.DialContext(ctx, network, target.String())
				answers <- answer{conn, err}
			}()
			next.Reset(headStart)
		case a := <-answers:
			if a.err != nil {
				failed = append(failed, a.err)
				next.Reset(0)
				continue
			}
			cancel() // the others end at once
			for range begun - 1 - len(failed) {
				if late := <-answers; late.conn != nil {
					_ = late.conn.Close()
				}
			}
			return a.conn, nil
		}
	}
	return nil, errors.Join(failed...)
}
