package broker

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	sizeBytes        = 4 // the size before every frame
	fixedHeaderBytes = 8 // api key, version, correlation id
	atCorrelation    = 4 // in a request; an answer starts with it
	correlationBytes = 4

	// maxProduceBytes bounds a produce request; it is Apache Kafka's default.
	maxProduceBytes = 100 << 20
	// maxRequestBytes bounds every other request. The decoder takes up to some
	// 200 bytes for one byte of an array, so this is also what bounds memory.
	maxRequestBytes = 1 << 20
)

// checkSize checks what is known of a frame before its body is read: its size
// and the first fixedHeaderBytes of it.
func checkSize(size int32, header []byte) error {
	key := int16(binary.BigEndian.Uint16(header))
	limit := int32(maxRequestBytes)
	if kmsg.Key(key) == kmsg.Produce {
		limit = maxProduceBytes
	}
	switch {
	case size < fixedHeaderBytes+2: // every header ends with a client id or its length
		return refuse("a frame of %d bytes is too short for a header", size)
	case !allowed(kmsg.Key(key)):
		return refuse("api key %d is not served here", key)
	case size > limit:
		return refuse("a frame of %d bytes is over the limit of %d for api key %d", size, limit, key)
	}
	return nil
}

// checkRequest checks one frame, without its size, that has passed checkSize.
// What it lets through the engine can decode and handle without ending. The
// times of the record batches in it are set to now: see stampBatch. It returns the
// decoded request, or nil for a produce request, which is not decoded.
func checkRequest(frame []byte, now time.Time) (kmsg.Request, error) {
	key := kmsg.Key(binary.BigEndian.Uint16(frame))
	version := int16(binary.BigEndian.Uint16(frame[2:]))
	req := kmsg.RequestForKey(int16(key))
	if req == nil || !allowed(key) {
		return nil, refuse("api key %d is not served here", key)
	}
	// A client newer than the engine asks for a version of ApiVersions that
	// neither knows, and must be answered with those that it does know.
	if version < 0 || version > req.MaxVersion() && key != kmsg.ApiVersions {
		return nil, refuse("%s version %d is not known", key.Name(), version)
	}
	req.SetVersion(version)
	r := reader{src: frame[fixedHeaderBytes:]}
	r.nullableString() // the client id; never compact, whatever the version
	if req.IsFlexible() {
		r.tags()
	}
	if r.bad {
		return nil, refuse("%s: the header ends early", key.Name())
	}
	if key == kmsg.Produce {
		return nil, checkProduce(&r, version, now)
	}
	if err := req.ReadFrom(r.src); err != nil {
		return nil, refuse("%s version %d: %v", key.Name(), version, err)
	}
	return req, checkMeaning(req)
}
