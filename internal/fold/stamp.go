package fold

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// ShardID is a lane and one of its partitions.
type ShardID struct {
	Lane      string
	Partition int32
}

// String is the form of the tl-shard header: "fast/3".
func (s ShardID) String() string { return s.Lane + "/" + strconv.Itoa(int(s.Partition)) }

// ParseShardID reads the form of the tl-shard header.
func ParseShardID(text string) (ShardID, error) {
	lane, partition, ok := strings.Cut(text, "/")
	n, err := strconv.ParseInt(partition, 10, 32)
	if !ok || err != nil || lane == "" || n < 0 {
		return ShardID{}, fmt.Errorf("parse shard %.80q: want lane/partition such as fast/3", text)
	}
	return ShardID{Lane: lane, Partition: int32(n)}, nil
}

// Stamp is what the three headers of a journal record say: whose record it is
// and where it stands in its owner's sequence.
type Stamp struct {
	Shard string
	Epoch int64
	Seq   int64
}

// EventID is the id of the event that carries this stamp.
func (s Stamp) EventID() string {
	b := make([]byte, 0, len(s.Shard)+32)
	b = append(append(b, s.Shard...), '-')
	b = append(strconv.AppendInt(b, s.Epoch, 10), '-')
	return string(strconv.AppendInt(b, s.Seq, 10))
}

// Header is a record's header as Kafka clients have it, such as kgo.RecordHeader: this
// package, and so all that decides what counts, depends on none of them.
type Header interface {
	~struct {
		Key   string
		Value []byte
	}
}

// header is what every [Header] is made of.
type header = struct {
	Key   string
	Value []byte
}

// Headers is the stamp as record headers.
func Headers[H Header](s Stamp) []H {
	headers := new([3]H)
	WriteHeaders(s, headers, make([]byte, 0, len(s.Shard)+40))
	return headers[:]
}

// WriteHeaders fills in the headers; the three values share the room in b.
func WriteHeaders[H Header](s Stamp, headers *[3]H, b []byte) {
	b = append(b, s.Shard...)
	shard := len(b)
	b = strconv.AppendInt(b, s.Epoch, 10)
	epoch := len(b)
	b = strconv.AppendInt(b, s.Seq, 10)
	*headers = [3]H{
		H(header{Key: schemas.HeaderShard, Value: b[:shard:shard]}),
		H(header{Key: schemas.HeaderEpoch, Value: b[shard:epoch:epoch]}),
		H(header{Key: schemas.HeaderSeq, Value: b[epoch:]}),
	}
}

// ReadStamp reads the three headers; false if any is missing or malformed,
// which makes the record nobody's: it never counts.
func ReadStamp[H Header](headers []H) (Stamp, bool) {
	shard, epoch, seq, ok := readStamp(headers)
	return Stamp{Shard: string(shard), Epoch: epoch, Seq: seq}, ok
}

// ReadStampOf is ReadStamp for a reader that follows one shard: false for the
// records of every other, at no allocation.
func ReadStampOf[H Header](name string, headers []H) (Stamp, bool) {
	shard, epoch, seq, ok := readStamp(headers)
	return Stamp{Shard: name, Epoch: epoch, Seq: seq}, ok && string(shard) == name
}

func readStamp[H Header](headers []H) (shard []byte, epoch, seq int64, ok bool) {
	var epochOK, seqOK bool
	for i := range headers {
		h := header(headers[i])
		switch h.Key {
		case schemas.HeaderShard:
			shard = h.Value
		case schemas.HeaderEpoch:
			epoch, epochOK = parseDecimal(h.Value)
		case schemas.HeaderSeq:
			seq, seqOK = parseDecimal(h.Value)
		}
	}
	return shard, epoch, seq, epochOK && seqOK && len(shard) > 0
}

// MaxNumber is the highest epoch and seq that fit in a header.
const MaxNumber = 1e18 - 1

// parseDecimal reads a positive decimal number without a string allocation:
// it runs twice for every record of the topic.
func parseDecimal(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n > 0
}
