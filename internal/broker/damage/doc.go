// Package damage looks at the directory of the embedded broker's log before the engine opens it. By itself the engine
// cuts a segment off at the first damaged batch and gives the offsets behind it out again. Here what is damaged is
// named in the log, kept as it was and read around; what can be put right is; and no partition ends below what was
// noted of it. See [Inspect], and [Notes] for what is noted while the broker runs.
package damage
