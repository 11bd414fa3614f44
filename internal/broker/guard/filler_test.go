package guard

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

var noTime = time.UnixMilli(1_700_000_000_000)

// filler fills requests with what clients send and with what they should not.
type filler struct {
	rng    *rand.Rand
	honest bool // no numbers or lengths from the edges
	// words, ids and producers are what exists in a broker, to meet with some luck.
	words     []string
	ids       [][16]byte
	producers []int64
	members   []string
	// generation is one that a group has had.
	generation int32
}

// request is one of any kind and version, mostly of those that are served.
func (f *filler) request() kmsg.Request {
	for {
		key := kmsg.Key(f.rng.IntN(95))
		a, served := apis[key]
		req := kmsg.RequestForKey(int16(key))
		if req == nil || !served && f.rng.IntN(10) > 0 {
			continue
		}
		highest := req.MaxVersion()
		if served && f.rng.IntN(20) > 0 {
			highest = a.highest
		}
		req.SetVersion(int16(f.rng.IntN(int(highest) + 1)))
		f.fill(req)
		if f.rng.IntN(3) > 0 {
			f.tame(req)
		}
		return req
	}
}

// tame gives a request sense, so that it gets further.
func (f *filler) tame(req kmsg.Request) {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		f.tameProduce(req)
	case *kmsg.FetchRequest:
		req.MaxWaitMillis = int32(f.rng.IntN(5))
		req.SessionEpoch = int32(f.rng.IntN(3)) - 1
	case *kmsg.JoinGroupRequest:
		req.Group, req.MemberID, req.ProtocolType = f.group(), f.member(), "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 1000, int32(f.rng.IntN(50))
		req.InstanceID = f.instance()
		for i := range req.Protocols {
			req.Protocols[i].Name = []string{"range", "uniform", "roundrobin"}[i%3]
		}
	case *kmsg.SyncGroupRequest:
		req.Group, req.MemberID, req.Generation = f.group(), f.member(), f.generation
		req.InstanceID, req.ProtocolType, req.Protocol = f.instance(), nil, nil
		for i := range req.GroupAssignment {
			req.GroupAssignment[i].MemberID = f.member()
		}
	case *kmsg.HeartbeatRequest:
		req.Group, req.MemberID, req.Generation, req.InstanceID = f.group(), f.member(), f.generation, f.instance()
	case *kmsg.LeaveGroupRequest:
		req.Group, req.MemberID = f.group(), f.member()
		for i := range req.Members {
			req.Members[i].MemberID, req.Members[i].InstanceID = f.member(), f.instance()
		}
	case *kmsg.OffsetCommitRequest:
		req.Group, req.MemberID, req.Generation, req.InstanceID = f.group(), f.member(), f.generation, f.instance()
		if f.rng.IntN(2) == 0 {
			req.MemberID, req.Generation = "", -1
		}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		req.Group, req.MemberID, req.MemberEpoch = f.group(), f.member(), []int32{0, -1, -2, f.generation}[f.rng.IntN(4)]
		req.InstanceID, req.ServerAssignor = f.instance(), nil
		if req.MemberEpoch == 0 {
			req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		}
	case *kmsg.CreateTopicsRequest:
		for i := range req.Topics {
			t := &req.Topics[i]
			t.Topic = fmt.Sprint("t-", f.rng.IntN(6))
			t.NumPartitions, t.ReplicationFactor = int32(f.rng.IntN(5))-1, 1
			t.Configs = nil
			if f.rng.IntN(2) == 0 {
				t.ReplicaAssignment = nil
			}
		}
	}
}

func (f *filler) group() string { return fmt.Sprint("g-", f.rng.IntN(4)) }

func (f *filler) member() string {
	if len(f.members) == 0 || f.rng.IntN(4) == 0 {
		return ""
	}
	return f.members[f.rng.IntN(len(f.members))]
}

func (f *filler) instance() *string {
	if f.rng.IntN(3) > 0 {
		return nil
	}
	name := fmt.Sprint("i-", f.rng.IntN(2))
	return &name
}

// tameProduce gives every partition a batch that mostly decodes.
func (f *filler) tameProduce(req *kmsg.ProduceRequest) {
	req.Acks = int16(f.rng.IntN(3)) - 1
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			b := kmsg.NewRecordBatch()
			b.Magic, b.NumRecords, b.LastOffsetDelta = 2, 2, 1
			b.Attributes = int16(f.rng.IntN(128))
			if f.rng.IntN(2) == 0 {
				b.Attributes = 0
			}
			b.FirstTimestamp, b.MaxTimestamp = f.number(64), f.number(64)
			b.ProducerID, b.ProducerEpoch, b.FirstSequence = f.number(64), int16(f.number(16)), int32(f.number(32))
			b.Records = seedRecords()
			b.Length = int32(recordbatch.HeaderBytes - 12 + len(b.Records))
			raw := b.AppendTo(nil)
			recordbatch.Seal(raw)
			req.Topics[i].Partitions[j].Records = raw
		}
	}
}

// fill sets the fields of a request, but its version.
func (f *filler) fill(req kmsg.Request) {
	v := reflect.ValueOf(req).Elem()
	version := req.GetVersion()
	f.value(v, 0)
	req.SetVersion(version)
}

func (f *filler) value(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).CanSet() && name != "UnknownTags" && !f.tagged(v.Type(), name) {
				f.value(v.Field(i), depth)
			}
		}
	case reflect.Pointer:
		if f.rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.value(v.Elem(), depth+1)
		} else {
			v.SetZero()
		}
	case reflect.Slice:
		f.slice(v, depth)
	case reflect.Array:
		id := f.id()
		for i := range min(v.Len(), len(id)) {
			v.Index(i).SetUint(uint64(id[i]))
		}
	case reflect.String:
		v.SetString(f.word())
	case reflect.Bool:
		v.SetBool(f.rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(f.number(v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(f.rng.Float64())
	}
}

// tagged reports whether a field travels as a tagged field, which are refused.
func (f *filler) tagged(t reflect.Type, field string) bool {
	switch t.Name() + "." + field {
	case "FetchRequest.ClusterID", "FetchRequest.ReplicaState",
		"FetchRequestTopicPartition.ReplicaDirectoryID", "FetchRequestTopicPartition.HighWatermark":
		return true
	}
	return false
}

func (f *filler) slice(v reflect.Value, depth int) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes(f.bytes())
		return
	}
	n := f.rng.IntN(4 - min(depth, 2))
	if !f.honest && f.rng.IntN(200) == 0 {
		n = f.rng.IntN(300)
	}
	if n == 0 && f.rng.IntN(2) == 0 {
		v.SetZero() // null
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		f.value(v.Index(i), depth+1)
	}
}

func (f *filler) bytes() []byte {
	switch f.rng.IntN(4) {
	case 0:
		return nil
	case 1: // what a consumer says when it joins
		meta := kmsg.NewConsumerMemberMetadata()
		meta.Topics = []string{f.word(), f.word()}
		return meta.AppendTo(nil)
	}
	out := make([]byte, f.rng.IntN(40))
	for i := range out {
		out[i] = byte(f.rng.Uint32())
	}
	return out
}

func (f *filler) word() string {
	if len(f.words) > 0 && f.rng.IntN(8) > 0 {
		return f.words[f.rng.IntN(len(f.words))]
	}
	odd := []string{"", ".", "..", "a/b", "\x00", "ü", "consumer", "range", "uniform", "__consumer_offsets", "a.b", "a_b",
		"(a+)+$", "0", "-1"}
	return odd[f.rng.IntN(len(odd))]
}

func (f *filler) id() [16]byte {
	if len(f.ids) > 0 && f.rng.IntN(3) > 0 {
		return f.ids[f.rng.IntN(len(f.ids))]
	}
	var id [16]byte
	if f.rng.IntN(3) > 0 {
		id[0] = byte(f.rng.IntN(4))
	}
	return id
}

func (f *filler) number(bits int) int64 {
	if len(f.producers) > 0 && bits == 64 && f.rng.IntN(4) == 0 {
		return f.producers[f.rng.IntN(len(f.producers))]
	}
	if f.honest || f.rng.IntN(3) > 0 {
		return int64(f.rng.IntN(4))
	}
	edges := []int64{-1, -2, -3, -4, -5, math.MaxInt8, math.MaxInt16 - 1, math.MaxInt16, math.MaxInt32 - 1, math.MaxInt32,
		math.MaxInt64, 1000, 10_000, 6000, 100}
	n := edges[f.rng.IntN(len(edges))]
	if f.rng.IntN(4) == 0 {
		n = -n - 1
	}
	return n << (64 - bits) >> (64 - bits)
}
