// Package proxy stands between Kafka clients and their brokers and does to the
// connections what networks do: delays, resets, frames that break off, requests
// that never arrive and answers that are lost. It understands as much of the
// protocol as it takes to tell requests apart and to name itself where a broker
// names itself, so it works with any broker and needs nothing of client or
// broker.
package proxy
