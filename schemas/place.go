package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// Place is where a record stands in the log: at an offset of a partition of a topic. It can
// be compared, and as an embedded field it is three members of a JSON object.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Place is that of the lane record.
func (s *Source) Place() Place { return Place{s.Topic, s.Partition, s.Offset} }

// Valid reports whether a record can stand there.
func (p Place) Valid() bool { return p.Topic != "" && p.Partition >= 0 && p.Offset >= 0 }

// String is topic/partition@offset: "tasks.fast/3@17".
func (p Place) String() string { return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset) }

// ParsePlace reads what String writes, of a place that is valid.
func ParsePlace(text string) (Place, error) {
	before, offset, hasOffset := strings.Cut(text, "@")
	topic, partition, hasPartition := strings.Cut(before, "/")
	p := Place{Topic: topic}
	number, err := strconv.ParseInt(partition, 10, 32)
	if err == nil {
		p.Partition = int32(number)
		p.Offset, err = strconv.ParseInt(offset, 10, 64)
	}
	// What is written otherwise, such as +3 or 03, is not a second form of the same.
	if err != nil || !hasOffset || !hasPartition || !p.Valid() || p.String() != text {
		return Place{}, fmt.Errorf("place %.200q: want topic/partition@offset, such as tasks.fast/3@17", text)
	}
	return p, nil
}
