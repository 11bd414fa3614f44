package broker_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sized puts the size before a frame.
func sized(frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// truncated keeps the size right and the body short.
func truncated(frame []byte) []byte {
	return sized(frame[4 : len(frame)-3])
}

func request(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 1)
}

func join(version int16, protocols ...string) []byte {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group = "hostile"
	req.SessionTimeoutMillis = 10_000
	req.RebalanceTimeoutMillis = 10_000
	req.ProtocolType = "consumer"
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = name
		req.Protocols = append(req.Protocols, p)
	}
	return request(req, version)
}

func produce(records []byte) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = hostileTopic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return request(req, 9)
}

// produceToUnknown names topics by ids that do not exist.
func produceToUnknown(topics int) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	for i := range topics {
		t := kmsg.NewProduceRequestTopic()
		t.TopicID[0] = byte(i + 1)
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = batch(record(0, "v"), 1, 0)
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return request(req, 13)
}

// listOffsets asks for the first record at or after 5.5 s, which makes the
// engine walk the records.
func listOffsets() []byte {
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = hostileTopic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = 5500
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return request(req, 4)
}

func createTopic(name string, partitions int32) []byte {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic = name
	t.NumPartitions = partitions
	t.ReplicationFactor = 1
	req.Topics = append(req.Topics, t)
	return request(req, 4)
}

func alterBroker(name, value string) []byte {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType = kmsg.ConfigResourceTypeBroker
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name = name
	c.Value = &value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return request(req, 0)
}

// record encodes a record without a key.
func record(offsetDelta int32, value string) []byte {
	r := kmsg.NewRecord()
	r.OffsetDelta = offsetDelta
	r.Value = []byte(value)
	body := r.AppendTo(nil)
	r.Length = int32(len(body) - 1)
	return r.AppendTo(nil)
}

// overlong is a record that says it is longer than the batch.
func overlong() []byte {
	r := kmsg.NewRecord()
	r.Length = 1 << 20
	r.Value = []byte("v")
	return r.AppendTo(nil)
}

// batch wraps records, with whatever count and attributes, in a batch whose
// checksum and length are right.
func batch(records []byte, count int32, attributes int16) []byte {
	b := kmsg.NewRecordBatch()
	b.Length = int32(49 + len(records))
	b.Magic = 2
	b.Attributes = attributes
	b.LastOffsetDelta = count - 1
	b.FirstTimestamp = 5000
	b.MaxTimestamp = 6000 // more than any record has: a look-up between the two walks all records
	b.ProducerID = -1
	b.ProducerEpoch = -1
	b.FirstSequence = -1
	b.NumRecords = count
	b.Records = records
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// gzipBomb is some 300 KB that decompress to 65 MiB.
func gzipBomb() []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	zeros := make([]byte, 1<<20)
	for range 65 {
		if err == nil {
			_, err = w.Write(zeros)
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}
