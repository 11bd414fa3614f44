// Package logdir knows the directory in which the embedded broker's engine keeps its log:
// partitions/TOPIC-N/BASE.dat holds record batches from offset BASE on, BASE.idx what the engine remembers of each.
// Files of the broker's own beside them have a checksum in their first line.
package logdir

// ClusterID names the cluster to clients, and in the engine's directory.
const ClusterID = "tasklane-embedded"
