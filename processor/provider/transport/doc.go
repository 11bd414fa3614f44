// Package transport is the HTTP client that adapters give to their providers' SDKs. Whatever an
// SDK does with an answer, here is where it is bounded, and where what went wrong is noted as it
// was: the status, Retry-After, the error's own code and message, or how the connection broke.
//
//   - An answer is read up to a limit, and so is one event of a stream: a provider that sends
//     without end costs that much memory and no more.
//   - A redirect to another origin is not followed: the key would go along.
//   - The environment's proxies are used (HTTPS_PROXY, NO_PROXY). The address is the operator's
//     choice and may be a private one.
//   - Keys are taken out of every text that leaves the package.
//   - When the context ends, the connection is closed, or the stream is reset with HTTP/2.
package transport
