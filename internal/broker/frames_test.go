package broker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// hostileTopic exists, with one partition, when hostile frames are sent.
const hostileTopic = "hostile"

// hostile is a sequence of frames from one ill-disposed connection.
type hostile struct {
	name string
	// kills says that the engine alone does not survive it.
	kills bool
	// answered are the frames before the hostile one that get an answer.
	answered [][]byte
	frame    []byte
}

// hostileFrames lists what is sent to the guarded broker.
func hostileFrames() []hostile {
	return []hostile{
		{name: "negative size", frame: []byte{0xff, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 1}},
		{name: "size of 2 GiB", frame: []byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 3, 0, 0, 0, 1}},
		{name: "big request of a small kind", frame: []byte{0, 0x20, 0, 0, 0, 3, 0, 1, 0, 0, 0, 1}},
		{name: "header too short", frame: []byte{0, 0, 0, 2, 0, 18, 0, 0, 0, 0, 0, 0}},
		{name: "HTTP", frame: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{name: "unknown api key", kills: true, frame: sized([]byte{0x27, 0x0f, 0, 0, 0, 0, 0, 1, 0xff, 0xff})},
		{name: "negative api key", kills: true, frame: sized([]byte{0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff})},
		{name: "unknown version", frame: sized([]byte{0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0})},
		{name: "negative version", frame: sized([]byte{0, 0, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff, 0})},
		{name: "four billion tags in the header",
			frame: sized([]byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		{name: "truncated produce", frame: truncated(produce(batch(record(0, "v"), 1, 0)))},
		{name: "truncated metadata", frame: truncated(request(kmsg.NewPtrMetadataRequest(), 9))},
		{name: "array longer than the frame",
			frame: sized([]byte{0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})},
		{name: "protocol twice in JoinGroup", kills: true, frame: join(3, "range", "range")},
		{name: "no protocol in JoinGroup", kills: true, answered: [][]byte{join(4, "range")}, frame: join(3)},
		{
			name: "record longer than its batch", kills: true,
			answered: [][]byte{}, frame: append(produce(batch(overlong(), 1, 0)), listOffsets()...),
		},
		{name: "batch of minus five records", frame: produce(batch(record(0, "v"), -5, 0))},
		{name: "batch of no records", frame: produce(batch(nil, 0, 0))},
		{name: "record with the wrong number", frame: produce(batch(record(7, "v"), 1, 0))},
		{name: "two unknown topic ids in Produce", kills: true, frame: produceToUnknown(2)},
		{name: "a transaction", frame: request(kmsg.NewPtrAddPartitionsToTxnRequest(), 3)},
		{name: "a share group", frame: request(kmsg.NewPtrShareGroupHeartbeatRequest(), 1)},
		{name: "tags without end in Metadata",
			frame: sized([]byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		{name: "gzip bomb", frame: produce(batch(gzipBomb(), 1, 1))},
		{name: "topic named like a path", frame: createTopic("../../escape", 1)},
		{name: "interval of zero for the broker", frame: alterBroker("offsets.retention.check.interval.ms", "0")},
	}
}

// send plays h to the broker and waits until the broker closes the connection.
func (h hostile) send(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	for _, frame := range h.answered {
		if _, err := conn.Write(frame); err != nil {
			t.Fatalf("send a harmless frame: %v", err)
		}
		size := make([]byte, 4)
		if _, err := io.ReadFull(conn, size); err != nil {
			t.Fatalf("no answer to a harmless frame: %v", err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size))); err != nil {
			t.Fatalf("answer to a harmless frame: %v", err)
		}
	}
	_, _ = conn.Write(h.frame) // may fail half way: the broker need not read all of it
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Fatal("the broker did not close the connection")
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
