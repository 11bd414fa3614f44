package guard

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	sizeBytes        = 4 // the size before every frame
	fixedHeaderBytes = 8 // api key, version, correlation id
	atCorrelation    = 4 // in a request; an answer starts with it
	correlationBytes = 4
)

// checkSize checks what is known of a frame before its body is read: its size and the first fixedHeaderBytes of it.
func checkSize(size int32, header []byte) error {
	key := kmsg.Key(binary.BigEndian.Uint16(header))
	a, served := apis[key]
	switch {
	case size < fixedHeaderBytes+2: // every header ends with a client id or its length
		return refuse("a frame of %d bytes is too short for a header", size)
	case !served:
		return refuse("api key %d is not served here", key)
	case size > a.limit:
		return refuse("a frame of %d bytes is over the limit of %d for %s", size, a.limit, key.Name())
	}
	return nil
}

// checked is a request that the engine may have.
type checked struct {
	frame  []byte        // without its size
	body   []byte        // the rest of the frame behind the header
	req    kmsg.Request  // nil for a produce request, which is not decoded
	answer kmsg.Response // instead of the engine's: it is not asked at all
	silent bool          // there is no answer: a produce request without acks
}

// checkRequest checks one frame, without its size, that has passed checkSize. What it lets through the engine can
// decode and handle without ending. The times of the record batches in it are set to now: see stampBatch.
func (g *Guard) checkRequest(frame []byte, now time.Time) (checked, error) {
	key := kmsg.Key(binary.BigEndian.Uint16(frame))
	version := int16(binary.BigEndian.Uint16(frame[2:]))
	req := kmsg.RequestForKey(int16(key))
	a, served := apis[key]
	if req == nil || !served {
		return checked{}, refuse("api key %d is not served here", key)
	}
	// A client newer than the engine asks for a version of ApiVersions that neither knows, and must be answered with
	// those that it does know. They differ in the answer only, not in the versions up to 3 of the header.
	if key == kmsg.ApiVersions && version > a.highest {
		return checked{frame: frame, answer: unknownVersions(a.highest)}, nil
	}
	if version < 0 || version > a.highest {
		return checked{}, refuse("%s version %d is not served here, which is 0 to %d", key.Name(), version, a.highest)
	}
	req.SetVersion(version)
	r := reader{src: frame[fixedHeaderBytes:]}
	r.nullableString() // the client id; never compact, whatever the version
	if req.IsFlexible() {
		r.tags()
	}
	if r.bad {
		return checked{}, refuse("%s: the header ends early", key.Name())
	}
	c := checked{frame: frame, body: r.src, req: req}
	if key == kmsg.Produce {
		c.req = nil
		var err error
		c.silent, err = g.checkProduce(r, version, now)
		return c, err
	}
	if err := decode(req, r); err != nil {
		return checked{}, err
	}
	var err error
	c.answer, err = g.checkDecoded(c)
	return c, err
}

// decode reads the body of a request, all of it.
func decode(req kmsg.Request, r reader) error {
	key := kmsg.Key(req.Key())
	if req.IsFlexible() {
		walk := r
		layouts[req.Key()].walk(&walk, req.GetVersion())
		if walk.bad || len(walk.src) > 0 {
			return refuse("%s version %d: the body is malformed", key.Name(), req.GetVersion())
		}
	}
	if err := req.ReadFrom(r.src); err != nil {
		return refuse("%s version %d: %v", key.Name(), req.GetVersion(), err)
	}
	return nil
}

// unknownVersions answers a request for a version of ApiVersions that does not
// exist yet, as brokers do: in version 0, with the versions of ApiVersions.
func unknownVersions(highest int16) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MaxVersion = kmsg.ApiVersions.Int16(), highest
	resp.ApiKeys = append(resp.ApiKeys, k)
	return resp
}
