package broker

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How the engine lays out its directory: partitions/TOPIC-N/BASE.dat holds
// record batches from offset BASE on, BASE.idx what it remembers of each.
const (
	partitionsDir = "partitions"
	segmentSuffix = ".dat"
	indexSuffix   = ".idx"
)

// name is the partition's directory.
func (p partition) name() string { return fmt.Sprintf("%s-%d", url.PathEscape(p.topic), p.number) }

// parsePartition reads a directory's name.
func parsePartition(name string) (topic string, number int32, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[at+1:], 10, 32)
	topic, unescapeErr := url.PathUnescape(name[:at])
	return topic, int32(n), err == nil && unescapeErr == nil
}

// subdirectories lists the directories in dir, none if there is no dir.
func subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// segmentBases lists the first offsets of the segments in dir, ascending.
func segmentBases(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var out []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if base, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			out = append(out, base)
		}
	}
	slices.Sort(out)
	return out, nil
}

// segmentFile is the path of a segment or its index.
func segmentFile(dir string, base int64, suffix string) string {
	return filepath.Join(dir, strconv.FormatInt(base, 10)+suffix)
}

// endOffset is the offset after the last whole record in dir's segments, 0 if
// there is none.
func endOffset(dir string) (int64, error) {
	bases, err := segmentBases(dir)
	if err != nil {
		return 0, err
	}
	for _, base := range slices.Backward(bases) {
		raw, err := os.ReadFile(segmentFile(dir, base, segmentSuffix))
		if err != nil {
			return 0, err
		}
		if end := lastOffset(raw) + 1; end > 0 {
			return end, nil
		}
	}
	return 0, nil
}

// lastOffset walks the batches of a segment as the engine does when it starts,
// up to the first that is torn, and returns the last offset, -1 for none.
func lastOffset(raw []byte) int64 {
	last := int64(-1)
	for len(raw) >= batchHeaderBytes {
		size := 12 + int64(int32(binary.BigEndian.Uint32(raw[atBatchLength:])))
		if size < batchHeaderBytes || size > int64(len(raw)) {
			break
		}
		batch := raw[:size]
		if binary.BigEndian.Uint32(batch[atBatchCRC:]) != checksum(batch) {
			break
		}
		last = int64(binary.BigEndian.Uint64(batch)) + int64(int32(binary.BigEndian.Uint32(batch[atBatchLastDelta:])))
		raw = raw[size:]
	}
	return last
}

// markerBatch is a batch of one control record at an offset: a transaction
// marker without a transaction, which every client skips.
func markerBatch(offset int64, now time.Time) []byte {
	record := []byte{
		16 << 1, 0, 0, 0, // length, attributes, time, offset
		4 << 1, 0, 0, 0, 1, // key: version 0, commit
		6 << 1, 0, 0, 0, 0, 0, 0, // value: version 0, coordinator epoch 0
		0, // headers
	}
	record[0] = byte(len(record)-1) << 1
	batch := make([]byte, batchHeaderBytes, batchHeaderBytes+len(record))
	binary.BigEndian.PutUint64(batch, uint64(offset))
	binary.BigEndian.PutUint32(batch[atBatchLength:], uint32(batchHeaderBytes-12+len(record)))
	batch[atBatchMagic] = 2
	binary.BigEndian.PutUint16(batch[atBatchAttributes:], batchControl|batchTransactional)
	binary.BigEndian.PutUint64(batch[atBatchFirstTime:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(batch[atBatchMaxTime:], uint64(now.UnixMilli()))
	for i := atBatchMaxTime + 8; i < atBatchCount; i++ {
		batch[i] = 0xff // no producer
	}
	binary.BigEndian.PutUint32(batch[atBatchCount:], 1)
	batch = append(batch, record...)
	binary.BigEndian.PutUint32(batch[atBatchCRC:], checksum(batch))
	return batch
}
