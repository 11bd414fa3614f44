// Package httpservice runs tasks by requests to services that speak HTTP (docs/HTTP-SERVICES.md): a POST for each
// attempt, whose answer is messages, and a GET that asks a service what it has. Requests go where an [ssrf.Guard] lets
// them, follow no redirect and use no proxy.
package httpservice
