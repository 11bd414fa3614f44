//go:build !unix

package datadir

// noFollow is nothing where others cannot make links.
const noFollow = 0
