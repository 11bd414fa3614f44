// Package definitions says which services there are and what their tasks take and give:
// their JSON Schemas, and the records "service/MODE/NAME/WORKER" of task-definitions in
// which processors publish them.
//
// [InputSchema] derives a schema from a Go type, [Compile] makes one that inputs can be
// checked with. A [Publisher] writes what a processor offers, again every [RefreshEvery],
// and clears it when it stops. A [Catalog] follows the topic and merges what all
// processors offer. A record that was not refreshed for [ExpireAfter], by the broker's
// clock, no longer counts: that is how a processor that was killed, and its version with
// it, goes away.
//
// The catalog only ever adds knowledge. A service that it does not know is not refused,
// and of several versions side by side an input has to suit one.
package definitions
