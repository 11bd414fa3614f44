package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// refusal is why an address is not posted to. Trying again would not help.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// guard decides which addresses may be posted to. It is asked with the address
// that is being dialled, after names have been looked up: a check of the name, or
// of a look-up before, could be answered otherwise a moment later.
type guard struct{ allow []netip.Prefix }

// control is a net.Dialer's Control.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{fmt.Sprintf("%q is no address", address)}
	}
	return g.check(target)
}

func (g *guard) check(target netip.AddrPort) error {
	// A zone would keep every prefix from matching.
	address := target.Addr().Unmap().WithZone("")
	for _, prefix := range g.allow {
		if prefix.Contains(address) {
			return nil
		}
	}
	if kind := notPublic(address); kind != "" {
		return &refusal{fmt.Sprintf("%s is %s, no public address; --webhook-allow can name it", address, kind)}
	}
	if port := target.Port(); port != 80 && port != 443 && port < 1024 {
		return &refusal{fmt.Sprintf("port %d is another service's; use 80, 443, or 1024 and above", port)}
	}
	return nil
}

// block is a range of addresses and what it is.
type block struct {
	prefix netip.Prefix
	kind   string
}

// blocks4 are IANA's special-purpose IPv4 addresses that are not reachable from
// everywhere, and multicast.
func blocks4() []block {
	return []block{
		{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
		{netip.MustParsePrefix("10.0.0.0/8"), "private"},
		{netip.MustParsePrefix("100.64.0.0/10"), "shared by a provider (CGNAT)"},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
		{netip.MustParsePrefix("172.16.0.0/12"), "private"},
		{netip.MustParsePrefix("192.0.0.0/24"), "for protocols"},
		{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
		{netip.MustParsePrefix("192.88.99.0/24"), "a relay"},
		{netip.MustParsePrefix("192.168.0.0/16"), "private"},
		{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
		{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
		{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	}
}

// blocks6 are those within the IPv6 addresses that are given out, 2000::/3.
func blocks6() []block {
	return []block{
		{netip.MustParsePrefix("2001::/23"), "for protocols"},
		{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
		{netip.MustParsePrefix("2002::/16"), "a 6to4 tunnel"},
		{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	}
}

// notPublic says what an address is that is not public, "" for a public one. An
// IPv6 address is public only if it has been given out as one; an IPv4 address
// inside a translated one (NAT64) is judged as itself.
func notPublic(address netip.Addr) string {
	if address.Is4() {
		return within(address, blocks4())
	}
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(address) {
		raw := address.As16()
		inner := netip.AddrFrom4([4]byte(raw[12:]))
		if kind := notPublic(inner); kind != "" {
			return "a translated form of " + inner.String() + ", which is " + kind
		}
		return ""
	}
	switch {
	case address.IsLoopback():
		return "loopback"
	case address.IsUnspecified():
		return "unspecified"
	case address.IsPrivate():
		return "private"
	case address.IsLinkLocalUnicast():
		return "link-local"
	case address.IsMulticast():
		return "multicast"
	case !netip.MustParsePrefix("2000::/3").Contains(address):
		return "not given out"
	}
	return within(address, blocks6())
}

func within(address netip.Addr, blocks []block) string {
	for _, b := range blocks {
		if b.prefix.Contains(address) {
			return b.kind
		}
	}
	return ""
}

// ParseAllow reads the prefixes of --webhook-allow. A single address is a prefix
// of its own.
func ParseAllow(texts []string) ([]netip.Prefix, error) {
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
			return nil, fmt.Errorf("webhook address %q: want an address or a range such as 10.1.0.0/16 or fd00::/8", text)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("webhook range %q has bits beyond its length: write %s", text, prefix.Masked())
		}
		allow = append(allow, prefix)
	}
	return allow, nil
}

// refused is the guard's reason within an error, nil if it has none.
func refused(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}
