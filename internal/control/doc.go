// Package control reads and writes task-control: cancels, pauses, kill switches
// and limits that are set while tasks run.
//
// [Controls] is what is in force. It reads the topic without a group, from its
// start, so every process has all of it and a restart brings it back. The last
// valid record of a key decides; a tombstone clears the key. A record that is
// not valid, or stands under another key than its own, is skipped with a
// warning. Until Ready is closed nothing is in force; if the topic is made anew,
// the old state stays until the new one has been read.
//
// Asking never blocks on the network, and expiry is judged at the moment of the
// call. Changes are told through a [Subscription], which holds a bounded number
// of them and blocks nobody: a slow subscriber is told to look at everything.
//
// Memory is bounded: see [MaxCancelBytes] and [MaxRuleBytes].
package control
