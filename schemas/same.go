package schemas

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// SameValue reports whether two JSON values say the same: members in any order, strings in any spelling, numbers by
// their exact decimal value in any spelling (1, 1.0 and 10e-1 are the same; 0.1 and 0.10000000000000000001 are not,
// though a float holds both alike). It is linear in the texts: no number is written out. What is no JSON is the same
// as nothing.
func SameValue(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	if plain(&a) != nil || plain(&b) != nil {
		return false
	}
	if bytes.Equal(a, b) {
		return true
	}
	one := jsontext.NewDecoder(bytes.NewReader(a), jsontext.AllowDuplicateNames(true))
	other := jsontext.NewDecoder(bytes.NewReader(b), jsontext.AllowDuplicateNames(true))
	for {
		mine, err := one.ReadToken()
		theirs, otherErr := other.ReadToken()
		if err != nil || otherErr != nil {
			return err != nil && otherErr != nil // both have been read to their ends
		}
		if mine.Kind() != theirs.Kind() {
			return false
		}
		switch text := mine.String(); mine.Kind() {
		case jsontext.KindString:
			if text != theirs.String() {
				return false
			}
		case jsontext.KindNumber:
			if !sameNumber(text, theirs.String()) {
				return false
			}
		}
	}
}

// SameTask reports whether the records of two tasks say the same, but for when they were made.
func SameTask(a, b []byte) bool { return SameValue(timeless(a), timeless(b)) }

// timeless is a task's record without created_at.
func timeless(record []byte) jsontext.Value {
	var rest jsontext.Value
	for s := enter(record); ; {
		quoted, value, ok := s.member()
		switch {
		case !ok && len(rest) == 0:
			return jsontext.Value("{}")
		case !ok:
			return rest
		}
		if string(Plain(quoted)) != "created_at" {
			rest = appendMember(rest, quoted, value)
		}
	}
}

// plain puts a value into one order and its strings into one spelling. Numbers stay as they are written.
func plain(v *jsontext.Value) error {
	return v.Compact(
		jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false),
		jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false),
	)
}

// sameNumber compares two JSON numbers by their decimal value.
func sameNumber(a, b string) bool { return a == b || decimalOf(a) == decimalOf(b) }

// decimal is the number ±0.DIGITS times ten to the power of its exponent, without
// zeros at either end of the digits. Zero has none.
type decimal struct {
	negative bool
	digits   string
	exponent int64
	// beyond is the exponent as it is written where it has more digits than any
	// number that is meant; exponent is then what to add to it.
	beyond string
}

func decimalOf(number string) decimal {
	var d decimal
	number, d.negative = strings.CutPrefix(number, "-")
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		d.exponent, d.beyond = exponentOf(number[i+1:])
		number = number[:i]
	}
	whole, fraction, _ := strings.Cut(number, ".")
	d.digits = strings.TrimLeft(whole+fraction, "0")
	if d.digits == "" {
		return decimal{}
	}
	d.exponent += int64(len(d.digits) - len(fraction))
	d.digits = strings.TrimRight(d.digits, "0")
	return d
}

// exponentOf reads what stands behind the e.
func exponentOf(text string) (exponent int64, beyond string) {
	text = strings.TrimPrefix(text, "+")
	size, negative := strings.CutPrefix(text, "-")
	size = strings.TrimLeft(size, "0")
	switch {
	case size == "":
		return 0, ""
	case len(size) > maxDigits && negative:
		return 0, "-" + size
	case len(size) > maxDigits:
		return 0, size
	}
	exponent, _ = strconv.ParseInt(size, 10, 64) // digits only, and few
	if negative {
		exponent = -exponent
	}
	return exponent, ""
}
