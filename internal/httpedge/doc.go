// Package httpedge is the edge that the HTTP servers of all roles share: which
// hosts and web pages they answer to ([Policy]), what they serve ([Route],
// [Router]), how long each phase of a request may take ([NewServer]), how bodies are
// read ([Bodies]), what load balancers are told ([Health]), and how errors are
// answered: handlers return them, and the router writes each as a [Problem].
//
// A body is taken in before anything is reserved for it. It has to keep coming at
// a rate, it counts with the bytes that have come and not with those that were
// announced, and where the room for all bodies is used up the one that has been
// coming for the longest gives way. So clients that send slowly, or never end,
// delay nobody but themselves.
package httpedge
