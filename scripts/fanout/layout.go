package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// layout is how clients and users are paired.
type layout string

const (
	// oneUser has all clients watch one user.
	oneUser layout = "one-user"
	// manyUsers has one client for each user.
	manyUsers layout = "many-users"
	// idle is manyUsers, and nothing is said.
	idle layout = "idle"
	// deaf has clients that never read beside others of the same user.
	deaf layout = "deaf"
)

func layouts() []layout { return []layout{oneUser, manyUsers, idle, deaf} }

func joined(all []layout) string {
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = string(l)
	}
	return strings.Join(names, ", ")
}

// users is how many there are for so many clients.
func (l layout) users(clients int) int {
	if l == oneUser {
		return 1
	}
	return clients
}

// user is whom a client watches.
func (l layout) user(client int) int {
	if l == oneUser {
		return 0
	}
	return client
}

func userName(user int) string { return fmt.Sprintf("u%06d", user) }

// minSize is the smallest event that has all it needs, in bytes.
const minSize = 200

// An event carries its place in its user's sequence where a client finds it
// without parsing JSON.
const (
	mark   = `"message":"n=`
	digits = 6
)

// event is the n-th of a user, of the given size in bytes.
func event(user, n, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size),
		`{"event_id":"fast/0-1-%06d","task_id":"t","user_id":"%s","attempt":1,"kind":"state","status":"running","step":1,`+
			`"task":"echo",%s%06d;u=%06d;`,
		n, userName(user), mark, n, user)
	for len(b) < size-2 {
		b = append(b, 'x')
	}
	return append(b, `"}`...)
}

// place reads whose event a text is, and which; false if it is none.
func place(text []byte) (user, n int, ok bool) {
	at := bytes.Index(text, []byte(mark))
	if at < 0 {
		return 0, 0, false
	}
	text = text[at+len(mark):]
	if len(text) < 2*digits+len(";u=") {
		return 0, 0, false
	}
	n, err := strconv.Atoi(string(text[:digits]))
	text = text[digits+len(";u="):]
	user, err2 := strconv.Atoi(string(text[:digits]))
	return user, n, err == nil && err2 == nil
}
