package topology

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// maxNamed bounds how many prefixes a warning names.
const maxNamed = 5

// neighbours warns if the topics were created just now although others, of another
// prefix, are there: whoever has mistyped the prefix waits for tasks that go elsewhere.
func (e *ensurer) neighbours(ctx context.Context, topics schemas.Topics) []string {
	if !e.created[topics.Events()] {
		return nil
	}
	all, err := e.adm.ListTopics(ctx)
	if err != nil {
		return nil // it was only to be of help
	}
	var prefixes []string
	for _, name := range all.Names() {
		if prefix, ok := strings.CutSuffix(name, schemas.Topics{}.Events()); ok && prefix != topics.Prefix {
			prefixes = append(prefixes, prefix)
		}
	}
	if len(prefixes) == 0 {
		return nil
	}
	quoted := make([]string, 0, maxNamed)
	for _, prefix := range prefixes[:min(len(prefixes), maxNamed)] {
		quoted = append(quoted, fmt.Sprintf("%q", prefix))
	}
	if len(prefixes) > maxNamed {
		quoted = append(quoted, "others")
	}
	return []string{fmt.Sprintf("topics with the prefix %q were created, and there are already some with the prefix %s; "+
		"if those were meant, set --topic-prefix to it", topics.Prefix, strings.Join(quoted, ", "))}
}

// longestPrefix leaves room for the names behind it, of which lanes are the longest.
const longestPrefix = 200

// checkPrefix wants what Kafka takes in the name of a topic.
func checkPrefix(prefix string) error {
	if len(prefix) > longestPrefix || !regexp.MustCompile(`^[A-Za-z0-9._-]*$`).MatchString(prefix) {
		return fmt.Errorf("topic prefix %.50q: use letters, digits, '.', '_' and '-', at most %d", prefix, longestPrefix)
	}
	return nil
}
