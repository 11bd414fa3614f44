// Package origin is what Tasklane's HTTP servers share at the edge: which
// address they may be bound to, which Host header they answer to, and which web
// pages may talk to them.
//
// With auth off every caller may act for every user, so three doors stay shut
// unless the operator opens them by name:
//
//   - binding an address other machines can reach ([Config.Insecure] opens it),
//   - a Host header that is not loopback, which is how a web page gets at a
//     local server by pointing its own DNS name there,
//   - a page of another origin (Config.AllowedOrigins lists the ones that may).
//
// A request without an Origin header comes from no web page and passes: curl,
// an SDK, a health check. The policy says nothing about who the user is.
package origin
