// Package checker judges a run of Tasklane by what it left behind: the raw
// records of the topics, the consumer groups' commits and the trace of what was
// executed. It is written from docs/DELIVERY.md and imports nothing of the
// project, so that it cannot share a mistake with what it judges. It does no
// I/O; everything is fed in, records of a partition in the order of offsets.
package checker
