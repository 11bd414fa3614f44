// Package provider is what all providers of AI models have in common: requests, results and errors in one form, and
// the flow of requests to them: limits, budgets, prices, fallbacks, a breaker, a cache. It knows no SDK: those are
// behind [Provider], one package each below processor/services.
//
// [Service] makes a service of a provider: mode chat, the provider's name, with the methods complete, embed and image,
// and any other task name as an instruction.
package provider
