package message

import "strings"

// Cut is a text with so many bytes at most, as valid UTF-8.
func Cut(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
