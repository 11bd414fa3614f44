// Package topology creates the topics of an installation, checks those that exist, creates again those that are gone
// while it runs, and knows what each role needs to be allowed to do with them.
package topology
