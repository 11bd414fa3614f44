package schemas

import (
	"strconv"
	"strings"
)

// maxDigits is what is surely within an int64; every bound of the contract is far below.
const maxDigits = 18

// wholeNumber is the value of a JSON number without a fraction in any of its spellings: 5, 5.0, 50e-1, -0. It is
// exact, and linear in the text: 1e999999999 is refused without writing it out.
func wholeNumber(number []byte) (int64, bool) {
	if n, ok := digits(number); ok {
		return n, true
	}
	text, negative := strings.CutPrefix(string(number), "-")
	exponent := 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		text = text[:i]
		if err != nil {
			return 0, strings.Trim(text, "0.") == ""
		}
		exponent = n
	}
	integer, fraction, _ := strings.Cut(text, ".")
	written := strings.TrimLeft(integer+fraction, "0")
	significant := strings.TrimRight(written, "0")
	if significant == "" {
		return 0, true
	}
	zeros := exponent - len(fraction) + len(written) - len(significant)
	if zeros < 0 || zeros > maxDigits || len(significant)+zeros > maxDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(significant+strings.Repeat("0", zeros), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// digits reads what nearly every number is: a few digits and nothing else.
func digits(number []byte) (int64, bool) {
	if len(number) > maxDigits {
		return 0, false
	}
	var n int64
	for _, c := range number {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
