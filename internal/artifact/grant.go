package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Info is what is known of a file that a user has.
type Info struct {
	Hash string `json:"artifact"`
	Size int64  `json:"size"`
	// Type is a media type, "application/octet-stream" if none was given.
	Type string `json:"type"`
	// Name is "" if none was given.
	Name string `json:"name,omitzero"`
	// User is whose it is, "" if everybody's.
	User      string    `json:"user_id,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Everybody is the user whose files are everybody's.
const Everybody = ""

const (
	blobs  = "blobs/"
	grants = "grants/"
	doomed = ".doomed" // ends the key of a mark
	// everybody stands in a grant's key for [Everybody]. No user has it: theirs are longer.
	everybody = "everybody"
)

// userKey stands for a user in keys: an id may hold anything.
func userKey(user string) string {
	if user == Everybody {
		return everybody
	}
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:])
}

func blobsOf(hash string) string { return blobs + hash[:2] + "/" + hash + "/" }

func blobKey(hash, generation string) string { return blobsOf(hash) + generation }

func grantsOf(hash string) string { return grants + hash[:2] + "/" + hash + "/" }

func userGrants(hash, user string) string { return grantsOf(hash) + userKey(user) + "/" }

// grant is what a grant's key says.
type grant struct {
	key, hash, user string // user as in keys
	expires         time.Time
	generation      string
}

func grantKey(hash, user, generation string, expires time.Time) string {
	return fmt.Sprintf("%s%010x.%s", userGrants(hash, user), expires.Unix(), generation)
}

// parseGrant reads a grant's key; false if it is none.
func parseGrant(key string) (grant, bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 {
		return grant{}, false
	}
	until, generation, found := strings.Cut(parts[4], ".")
	seconds, err := strconv.ParseInt(until, 16, 64)
	if !found || err != nil || !IsHash(parts[2]) {
		return grant{}, false
	}
	return grant{key, parts[2], parts[3], time.Unix(seconds, 0), generation}, true
}

const (
	maxNameBytes = 255
	// DefaultType is the media type of what has none.
	DefaultType = "application/octet-stream"
)

// CheckName is what is wrong with a file's name, "" if nothing is. A name is for people and for
// those who save the file: nothing is stored under it.
func CheckName(name string) string {
	switch {
	case len(name) > maxNameBytes:
		return fmt.Sprintf("has %d bytes; it may have %d", len(name), maxNameBytes)
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case name == "." || name == ".." || strings.ContainsAny(name, `/\`) || name != "" && path.Base(name) != name:
		return "must be a name alone, without a directory"
	case strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) ||
			r == '\u2028' || r == '\u2029'
	}):
		return "must not hold control characters"
	}
	return ""
}

// CheckType is a media type as it is kept, and what is wrong with it, "" if nothing is.
func CheckType(text string) (kept, wrong string) {
	if text == "" {
		return DefaultType, ""
	}
	kind, parameters, err := mime.ParseMediaType(text)
	if err != nil || len(text) > maxNameBytes || !strings.Contains(kind, "/") {
		return "", "is no media type such as application/pdf"
	}
	kept = mime.FormatMediaType(kind, parameters)
	if kept == "" || len(kept) > maxNameBytes {
		return "", "is no media type such as application/pdf"
	}
	return kept, ""
}
