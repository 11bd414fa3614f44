// Package pace is how long waits take and how often loops turn: a pause, the
// pauses between tries that fail, a beat, a bound for what may hang.
package pace
