package guard

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sensible is a request of that kind and version with something in every field, as clients
// send it.
func sensible(rng *rand.Rand, key kmsg.Key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(int16(key))
	req.SetVersion(version)
	(&filler{rng: rng, honest: true, words: []string{"tasks.fast", "events"}, ids: [][16]byte{{1}}}).fill(req)
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		req.TransactionID = nil
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Records = seedBatch(seedRecords(), 2, 0)
			}
		}
	case *kmsg.InitProducerIDRequest:
		req.TransactionalID = nil
	case *kmsg.JoinGroupRequest:
		req.Protocols = nil
		for _, name := range []string{"range", "sticky"} {
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = name, []byte("m")
			req.Protocols = append(req.Protocols, p)
		}
	case *kmsg.CreateTopicsRequest:
		for i := range req.Topics {
			req.Topics[i].Topic, req.Topics[i].Configs = fmt.Sprint("topic-", i), nil
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		for i := range req.Resources {
			req.Resources[i].ResourceType = kmsg.ConfigResourceTypeTopic
		}
	}
	return req
}

func frameOf(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 7)[sizeBytes:]
}

// everyVersion visits all APIs that are served, in all their versions.
func everyVersion(t *testing.T, visit func(t *testing.T, rng *rand.Rand, key kmsg.Key, version int16)) {
	t.Helper()
	for key, a := range apis {
		t.Run(key.Name(), func(t *testing.T) {
			first := int16(0)
			if key == kmsg.Produce {
				first = 3
			}
			for version := first; version <= a.highest; version++ {
				visit(t, rand.New(rand.NewPCG(uint64(key), uint64(version))), key, version)
			}
		})
	}
}

// TestEveryVersionPasses: what clients send of each API gets through the guard.
func TestEveryVersionPasses(t *testing.T) {
	everyVersion(t, func(t *testing.T, rng *rand.Rand, key kmsg.Key, version int16) {
		for range 20 {
			frame := frameOf(sensible(rng, key, version))
			if err := checkSize(int32(len(frame)), frame); err != nil {
				t.Fatalf("version %d: %v", version, err)
			}
			c, err := newTestGuard().checkRequest(frame, noTime)
			if err != nil {
				t.Fatalf("version %d: %v", version, err)
			}
			if c.req == nil && key != kmsg.Produce {
				t.Fatalf("version %d was not decoded", version)
			}
			if c.req != nil && (c.req.Key() != int16(key) || c.req.GetVersion() != version) {
				t.Fatalf("%s version %d was taken for %T version %d", key.Name(), version, c.req, c.req.GetVersion())
			}
		}
	})
}

// TestEveryVersionIsWhole: a request that ends early, anywhere, is refused, and so is one of
// a flexible version with something behind its end.
func TestEveryVersionIsWhole(t *testing.T) {
	everyVersion(t, func(t *testing.T, rng *rand.Rand, key kmsg.Key, version int16) {
		req := sensible(rng, key, version)
		frame := frameOf(req)
		headerBytes := fixedHeaderBytes + len("\x00\x04test")
		for cut := headerBytes; cut < len(frame); cut++ {
			if _, err := newTestGuard().checkRequest(frame[:cut:cut], noTime); err == nil &&
				decodeLikeEngine(frame[:cut:cut]) != nil {
				t.Fatalf("version %d passes with %d of its %d bytes", version, cut, len(frame))
			}
		}
		if !req.IsFlexible() {
			return
		}
		var refused *frameError
		if _, err := newTestGuard().checkRequest(append(frame, 0), noTime); !errors.As(err, &refused) {
			t.Fatalf("version %d passes with a byte too many: %v", version, err)
		}
	})
}

// TestVersionsThatAreNotServed are refused; one of ApiVersions is answered with those that
// are, so that a newer client goes on with them.
func TestVersionsThatAreNotServed(t *testing.T) {
	for key, a := range apis {
		for _, version := range []int16{-1, a.highest + 1, 1<<15 - 1} {
			frame := []byte{byte(key >> 8), byte(key), byte(uint16(version) >> 8), byte(version), 0, 0, 0, 1, 0xff, 0xff, 0}
			c, err := newTestGuard().checkRequest(frame, noTime)
			if key == kmsg.ApiVersions && version > 0 {
				resp, ok := c.answer.(*kmsg.ApiVersionsResponse)
				if err != nil || !ok || resp.ErrorCode != kerr.UnsupportedVersion.Code || resp.ApiKeys[0].MaxVersion != a.highest {
					t.Errorf("version %d of ApiVersions: %+v, %v", version, c.answer, err)
				}
				continue
			}
			if err == nil {
				t.Errorf("%s version %d passes", key.Name(), version)
			}
		}
	}
	for version := range int16(3) {
		if _, err := newTestGuard().checkRequest([]byte{0, 0, 0, byte(version), 0, 0, 0, 1, 0xff, 0xff, 0, 1},
			noTime); err == nil {
			t.Errorf("Produce version %d passes: the engine does not know its form", version)
		}
	}
}

// TestFramesAreBoundedByTheirAPI, and those of all others refused at once.
func TestFramesAreBoundedByTheirAPI(t *testing.T) {
	for key := range kmsg.Key(200) {
		header := []byte{0, byte(key), 0, 0, 0, 0, 0, 1}
		a, served := apis[key]
		if err := checkSize(fixedHeaderBytes+2, header); (err == nil) != served {
			t.Errorf("%s: %v, served %t", key.Name(), err, served)
		}
		if !served {
			continue
		}
		for size, passes := range map[int32]bool{-1: false, 0: false, fixedHeaderBytes + 1: false, a.limit: true,
			a.limit + 1: false, 1<<31 - 1: false} {
			if err := checkSize(size, header); (err == nil) != passes {
				t.Errorf("%s with %d bytes: %v", key.Name(), size, err)
			}
		}
	}
}

// TestAnnouncedIsServed: what the engine offers is cut down to what the guard lets through.
func TestAnnouncedIsServed(t *testing.T) {
	resp := kmsg.NewPtrApiVersionsResponse()
	for key := range int16(100) {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = key, 99
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	announced(resp)
	if len(resp.ApiKeys) != len(apis) {
		t.Errorf("%d APIs are announced, %d are served", len(resp.ApiKeys), len(apis))
	}
	for _, k := range resp.ApiKeys {
		if a, served := apis[kmsg.Key(k.ApiKey)]; !served || k.MaxVersion != a.highest {
			t.Errorf("%s is announced up to version %d", kmsg.Key(k.ApiKey).Name(), k.MaxVersion)
		}
	}
}
