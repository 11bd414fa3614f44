package schemas

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// callbackPattern is the one in task.schema.json; a test compares the two. It has
// no user and password: a URL is shown in places where those must not be.
var callbackPattern = regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]?://` +
	`([A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*\.?|\[[0-9A-Fa-f:.]{2,45}\])` +
	`(:0{0,4}([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?` + // 1 to 65535
	`([/?#]([!-$&-~]|%[0-9A-Fa-f]{2})*)?$`)

func isCallback(s string) bool { return callbackPattern.MatchString(s) }

// hasAddress reports whether the part in brackets, if there is one, is an IPv6
// address.
func hasAddress(u *url.URL) bool {
	if !strings.HasPrefix(u.Host, "[") {
		return true
	}
	address, err := netip.ParseAddr(u.Hostname())
	return err == nil && address.Is6()
}
