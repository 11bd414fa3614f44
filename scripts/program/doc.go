// Package program runs the built binary for the programs that put it to the test,
// and looks at its processes.
package program
