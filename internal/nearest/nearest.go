// Package nearest finds the known name that somebody most likely meant who wrote
// another one, so that a refusal can say what to change.
package nearest

import "strings"

// maxBytes is the longest name that is compared: the work grows with its square.
const maxBytes = 100

// Name is the known name that is nearest to the one given, of those that are equally near the one with the fewest
// letters to change, and whether it is near enough to ask "did you mean". Case, hyphens and underscores count for
// nothing; then a name that begins with the other, or that keeps its letters in order, is nearer than one with other
// letters.
func Name(given string, known ...string) (name string, near bool) {
	if len(given) > maxBytes {
		return "", false
	}
	plain := simplify(given)
	least := 0
	for _, candidate := range known {
		other := simplify(candidate)
		d := distance(plain, other)
		if name == "" || d < least || d == least && further(plain, simplify(name)) > further(plain, other) {
			name, least = candidate, d
		}
	}
	return name, name != "" && least <= max(2, len(plain)/2)*cost
}

// Distances are in steps of a cost: letters that are only missing are worth half of one.
const cost = 2

// simplify leaves of a name what people remember of it.
func simplify(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// further is how many letters have to be changed to come from one name to the other.
func further(a, b string) int { return edits([]rune(a), []rune(b)) }

func distance(a, b string) int {
	if d, kept := missing(a, b); kept {
		return d
	}
	return further(a, b) * cost
}

// missing is how far a name is from one that has all its letters, in their order, and
// more: half of what is missing, or next to nothing if it is the beginning or the end. That is
// how names are cut short.
func missing(a, b string) (steps int, kept bool) {
	if len(a) > len(b) {
		a, b = b, a
	}
	switch {
	case a == b:
		return 0, true
	case len(a) < 3:
		return 0, false
	case strings.HasPrefix(b, a), strings.HasSuffix(b, a):
		return 1, true
	}
	rest := a
	for i := 0; i < len(b) && rest != ""; i++ {
		if b[i] == rest[0] {
			rest = rest[1:]
		}
	}
	return len(b) - len(a), rest == ""
}

// edits is how many letters have to be put in, left out, changed, or swapped with their
// neighbour to come from one name to the other.
func edits(a, b []rune) int {
	var before []int // two rows up
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			next[j+1] = min(row[j]+change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
