package ssrf

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for address, want := range map[string]string{
		"93.184.215.14:443": "", "8.8.8.8:80": "", "1.1.1.1:8443": "", "223.255.255.255:1024": "",
		"[2606:4700::1111]:443":  "",
		"[64:ff9b::808:808]:443": "", "[::ffff:8.8.8.8]:443": "",
		"127.0.0.1:80": "loopback", "127.255.255.254:80": "loopback", "[::1]:80": "loopback",
		"[::ffff:127.0.0.1]:80": "loopback",
		"[64:ff9b::7f00:1]:80":  "loopback", "[::127.0.0.1]:80": "not given out", "0.0.0.0:80": "this network",
		"[::]:80":      "unspecified",
		"10.0.0.1:443": "private", "172.16.0.1:443": "private", "172.31.255.255:443": "private",
		"192.168.1.1:443":    "private",
		"172.15.255.255:443": "", "172.32.0.0:443": "", "[fd00::1]:443": "private", "[fc00::1]:443": "private",
		"[::ffff:10.0.0.1]:443": "private", "[64:ff9b::a00:1]:443": "private",
		"[64:ff9b:1::a00:1]:443": "not given out",
		"100.64.0.1:443":         "CGNAT", "100.127.255.255:443": "CGNAT", "100.128.0.0:443": "",
		"169.254.169.254:80": "link-local", "[fe80::1]:80": "link-local", "[fe80::1%lo]:80": "link-local",
		"[fec0::1]:80":                "not given out",
		"[::ffff:169.254.169.254]:80": "link-local", "[64:ff9b::a9fe:a9fe]:80": "link-local",
		"224.0.0.1:80": "multicast", "239.255.255.255:80": "multicast", "[ff02::1]:80": "multicast",
		"255.255.255.255:80": "reserved", "240.0.0.1:80": "reserved",
		"192.0.2.1:80": "documentation", "198.51.100.1:80": "documentation", "203.0.113.1:80": "documentation",
		"[2001:db8::1]:80": "documentation", "[3fff::1]:80": "documentation",
		"198.18.0.1:80": "benchmarks", "192.0.0.8:80": "protocols", "192.88.99.1:80": "relay",
		"[2002:7f00:1::]:80": "6to4",
		"[2001::1]:80":       "protocols",
		"[100::1]:80":        "not given out", "[4000::1]:80": "not given out",
		"8.8.8.8:22": "port 22", "8.8.8.8:25": "port 25", "8.8.8.8:0": "port 0", "8.8.8.8:1023": "port 1023",
		"[2606:4700::1111]:6": "port 6",
		"example.org:80":      "no address", "8.8.8.8": "no address", "": "no address",
	} {
		err := New(Config{}).control("tcp", address, nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", address, err)
		case want != "" && (Refused(err) == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}

func TestAllow(t *testing.T) {
	allow, err := ParseAllow("--allow", []string{"10.1.0.0/16", "127.0.0.1", "fd00::/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	g := New(Config{Allow: allow})
	for address, want := range map[string]bool{
		"10.1.2.3:443": true, "10.1.2.3:22": true, "10.2.0.1:443": false, "127.0.0.1:1": true, "127.0.0.2:80": false,
		"[::ffff:10.1.2.3]:443": true, "[fd12::1]:80": true, "[fd12::1%eth0]:80": true, "[fc00::1]:80": false,
		"[::1]:80": true, "8.8.8.8:443": true,
		// A translated address is another one.
		"[64:ff9b::a01:203]:443": false,
	} {
		if err := g.control("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, text := range []string{"", "10.0.0.0", "10.1.2.3/16", "10.0.0.0/33", "example.org", "::ffff:10.0.0.0/104",
		"fe80::1%lo", "10.0.0.0/8,1.2.3.4"} {
		if allow, err := ParseAllow("--allow", []string{text}); text != "10.0.0.0" && err == nil {
			t.Errorf("%q is read as %v", text, allow)
		}
	}
}

// TestFormsOfOneAddress: an IPv4 address that is not public is refused in
// every form that stands for it.
func TestFormsOfOneAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inner := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		plain := notPublic(inner) != ""
		for _, prefix := range []string{"::ffff:0:0", "64:ff9b::"} {
			raw, four := netip.MustParseAddr(prefix).As16(), inner.As4()
			copy(raw[12:], four[:])
			form := netip.AddrPortFrom(netip.AddrFrom16(raw), 443)
			if got := New(Config{}).Check(form) != nil; got != plain {
				t.Errorf("%s refused: %v; as %s: %v", inner, plain, form, got)
			}
		}
		raw := netip.MustParseAddr("2002::").As16()
		four := inner.As4()
		copy(raw[2:], four[:])
		if New(Config{}).Check(netip.AddrPortFrom(netip.AddrFrom16(raw), 443)) == nil {
			t.Errorf("a 6to4 form of %s passes", inner)
		}
	})
}

// FuzzCheck compares with the standard library's idea of addresses that are not
// for everybody.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:80", "[::1%a]:443", "[::ffff:a.b]:1", "169.254.169.254:80",
		"[64:ff9b::1]:80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if New(Config{}).control("tcp", text, nil) != nil {
			return
		}
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			t.Fatalf("%q is no address and passes", text)
		}
		a := at.Addr().Unmap()
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
			at.Port() == 0 {
			t.Errorf("%s passes", text)
		}
	})
}
