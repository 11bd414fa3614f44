package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// IsHash reports whether a text has the form of an artifact's hash.
func IsHash(text string) bool {
	if len(text) != hex.EncodedLen(sha256.Size) {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// References are the hashes of the artifacts that a JSON value names, at whatever depth: members
// called artifact with a hash as their value. A hash that is named twice is there twice. What is
// no JSON names none from the place on where it is none.
func References(value jsontext.Value) (hashes []string) {
	if !bytes.Contains(value, []byte(`"artifact"`)) {
		return nil
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true))
	named := false
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return hashes
		}
		text := ""
		if token.Kind() == jsontext.KindString {
			text = token.String()
		}
		if named && IsHash(text) {
			hashes = append(hashes, text)
		}
		within, count := decoder.StackIndex(decoder.StackDepth())
		named = within == jsontext.KindBeginObject && count%2 == 1 && text == "artifact"
	}
}
