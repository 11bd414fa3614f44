package logdir

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// partitions is the directory that holds those of all partitions.
const partitions = "partitions"

// MaxPartitions bounds the partitions of all topics together. A partition costs memory
// as soon as it exists, and two open files once it has been written to.
const MaxPartitions = 20_000

// MaxTopicName is the longest name of a topic, as in Apache Kafka, in bytes.
const MaxTopicName = 249

// legalTopicName is what Apache Kafka allows in a name.
var legalTopicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// IsTopicName reports whether a name is one that Apache Kafka would take. The engine makes a directory of it.
func IsTopicName(name string) bool {
	return len(name) <= MaxTopicName && name != "." && name != ".." && legalTopicName.MatchString(name)
}

// Partition is one of a topic's.
type Partition struct {
	Topic  string
	Number int32
}

// Name is that of the partition's directory.
func (p Partition) Name() string { return fmt.Sprintf("%s-%d", url.PathEscape(p.Topic), p.Number) }

// Path is the partition's directory below the engine's.
func (p Partition) Path(dir string) string { return filepath.Join(dir, partitions, p.Name()) }

// PartitionsPath is the directory that holds those of all partitions.
func PartitionsPath(dir string) string { return filepath.Join(dir, partitions) }

// ParsePartition reads the name of a partition's directory.
func ParsePartition(name string) (p Partition, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return Partition{}, false
	}
	number, err := strconv.ParseInt(name[at+1:], 10, 32)
	topic, unescapeErr := url.PathUnescape(name[:at])
	if err != nil || unescapeErr != nil {
		return Partition{}, false
	}
	return Partition{Topic: topic, Number: int32(number)}, true
}
