package auth

import "time"

// Identity is who a caller has proved to be.
type Identity struct {
	// User is the user_id, the token's sub.
	User string
	// Admin may watch and act for every user, and operate the installation.
	Admin bool
	// Expires is when the proof ends; zero for never.
	Expires time.Time
}

// Anyone is who every caller is while auth is off.
func Anyone() Identity { return Identity{Admin: true} }

// MayActFor reports whether the caller may watch and act for a user.
func (i Identity) MayActFor(user string) bool { return i.Admin || i.User == user }
