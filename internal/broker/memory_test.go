package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafkatest"
)

// crowd is how many hostile connections there are, and crowdBytes what they may
// make a broker take at most.
const (
	crowd      = 300
	crowdBytes = raceFactor * 900 << 20
)

// residentPeak is the most memory that a process has had, in bytes.
func residentPeak(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("the system does not say how much memory a process has had")
	return 0
}

// dialAll opens connections that stay open until the end of the test.
func dialAll(t *testing.T, addr string) []net.Conn {
	t.Helper()
	out := make([]net.Conn, crowd)
	for i := range out {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		out[i] = conn
	}
	return out
}

// TestMemoryOverConnections: each of the ways in which a few bytes buy much is
// bounded over all connections, and meanwhile an ordinary client is served.
func TestMemoryOverConnections(t *testing.T) {
	for _, tt := range []struct {
		name   string
		attack func(t *testing.T, addr string)
	}{
		{"fetches that nobody reads", unreadFetches},
		{"produce requests of which half is sent", halfSent},
		{"zstd bombs", bombs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := startChild(t, childGuarded, t.TempDir())
			cl := kafkatest.Client(t, c.addr)
			createTopics(t, cl, hostileTopic, "good")
			tt.attack(t, c.addr)
			mustServe(t, c.addr, "good")
			peak := residentPeak(t, c.cmd.Process.Pid)
			t.Logf("%d MiB at most", peak>>20)
			if peak > crowdBytes {
				t.Errorf("the broker has had %d MiB, want at most %d", peak>>20, crowdBytes>>20)
			}
		})
	}
}

func unreadFetches(t *testing.T, addr string) {
	value := make([]byte, 900<<10)
	cl := kafkatest.Client(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 40 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: hostileTopic, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = 1<<31-1, 1<<31-1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = hostileTopic
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes, p.CurrentLeaderEpoch = 1<<31-1, -1
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	frame := request(req, 12)
	for _, conn := range dialAll(t, addr) {
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(2 * time.Second) // for the answers to pile up
}

// sendAll sends the same on all connections at once, for as long as they take it.
func sendAll(t *testing.T, addr string, frame []byte) {
	t.Helper()
	var wg sync.WaitGroup
	for _, conn := range dialAll(t, addr) {
		wg.Go(func() { _, _ = conn.Write(frame) }) // it may be closed for it
	}
	wg.Wait()
}

func halfSent(t *testing.T, addr string) {
	frame := binary.BigEndian.AppendUint32(nil, 64<<20)
	frame = append(frame, produce(nil)[4:12]...)
	frame = append(frame, make([]byte, 9<<20)...)
	sendAll(t, addr, frame)
}

func bombs(t *testing.T, addr string) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 63 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	frame := produce(batch(packed.Bytes(), 1, 4))
	sendAll(t, addr, frame)
}

// TestTooManyConnections: those that do nothing make room.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	c := startChild(t, childGuarded, t.TempDir())
	createTopics(t, kafkatest.Client(t, c.addr), "good")
	for range 5 {
		dialAll(t, c.addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for { // they have to be idle for a while first
		cl := kafkatest.Client(t, c.addr)
		if _, err := kadm.NewClient(cl).ListTopics(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("nobody can connect any more")
		}
	}
	mustServe(t, c.addr, "good")
}
