// Package message is the language that services outside of this process speak: messages, of which each is a JSON object
// on a line, and what becomes of a task by them (docs/SUBPROCESS.md). How they come here is the matter of those who
// import it.
package message
