// Package subprocess runs the tasks of a service in processes of any language: children that stay warm, each with many
// tasks at once if it says so. They are spoken with in lines of JSON on their descriptors 3 and 4 (docs/SUBPROCESS.md).
//
// A [Pool] keeps the children. A seat of it starts one, and another when that one ends or is worn; a child owns its
// process, a reader, a writer and the executions that are in it. What a child does wrong ends that child, and costs its
// executions an attempt that counts as lost with its worker: they are tried again, each alone in a child.
package subprocess
