// Package logrepeat sums up log lines that repeat: an outage says what it is in a
// few lines a minute, however long it lasts and however many parts meet it.
package logrepeat
