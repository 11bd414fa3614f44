package ssrf

import "net/netip"

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
