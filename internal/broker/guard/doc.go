// Package guard stands between the network and the engine of the embedded broker. The
// engine is made for tests: one malformed request from anybody who can open a connection
// ends its process, and what it keeps for clients has no bound.
//
// Requests are checked before the engine sees them, in four steps: the size and the kind of the frame ([Guard],
// apis), its form on the wire (layout, and for the hot one, produce, a walk of its own), what it asks for
// (checkDecoded), and what the engine would keep for it (usage, producers, budget). One that is harmful is answered
// with an error where a client understands it; otherwise its connection is closed. Answers are looked at as well:
// which requests are announced, and whether records are as they were written.
//
// What the engine lacks beside that, heartbeats of members that wait, [Guard.Attend] adds.
package guard
