package guard

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MaxBatchBytes is the most that one compressed batch may decompress to.
const MaxBatchBytes = 64 << 20

// Decompressing is bounded over all connections: by the number of batches at a
// time, and further for those that take more than a little.
const (
	maxBigBatches = 2
	bigBytes      = 1 << 20
	// bigWindowBytes is the history that a zstd decoder sets aside.
	bigWindowBytes = 8 << 20
)

// errTooLarge is the reason for refusing a decompression bomb.
var errTooLarge = fmt.Errorf("it would take more than %d bytes", MaxBatchBytes)

// The codecs of a batch.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// unpacker decompresses what all connections send.
type unpacker struct {
	turns chan struct{} // one for every batch that is decompressed
	big   chan struct{} // and one more for every big one
}

func newUnpacker() *unpacker {
	return &unpacker{
		turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		big:   make(chan struct{}, maxBigBatches),
	}
}

// checkRecords checks the records of a batch, decompressed if need be, and returns
// how many ms after the batch's first time the latest is.
func (u *unpacker) checkRecords(src []byte, codec uint16, count int32) (latest int64, err error) {
	if codec == codecNone {
		return checkRecords(src, count)
	}
	u.turns <- struct{}{}
	p := unpacking{unpacker: u}
	defer func() {
		p.release()
		<-u.turns
	}()
	records, err := p.decompress(src, codec)
	if err != nil {
		return 0, refuse("a record batch does not decompress: %v", err)
	}
	return checkRecords(records, count)
}

// unpacking is the decompression of one batch.
type unpacking struct {
	*unpacker
	isBig bool
}

// takes says that the batch takes n bytes decompressed, and waits for the turn of a big one.
func (p *unpacking) takes(n int) {
	if n > bigBytes && !p.isBig {
		p.big <- struct{}{}
		p.isBig = true
	}
}

func (p *unpacking) release() {
	if p.isBig {
		<-p.big
	}
}

// decompress returns the records of a batch. It never takes more than about MaxBatchBytes.
func (p *unpacking) decompress(src []byte, codec uint16) ([]byte, error) {
	switch codec {
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return p.readBounded(r)
	case codecSnappy:
		return p.unsnappy(src)
	case codecLZ4:
		return p.readBounded(lz4.NewReader(bytes.NewReader(src)))
	case codecZstd:
		return p.unzstd(src)
	}
	return nil, fmt.Errorf("codec %d is not known", codec)
}

// unzstd decompresses zstd frames, each of which says what history it takes.
func (p *unpacking) unzstd(src []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	window := uint64(bigWindowBytes)
	if h.WindowSize > window || h.FrameContentSize > bigBytes {
		p.takes(bigBytes + 1)
		window = MaxBatchBytes
	}
	r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(MaxBatchBytes), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return p.readBounded(r)
}

// readBounded reads r to its end.
func (p *unpacking) readBounded(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, bigBytes+1))
	if err != nil || len(out) <= bigBytes {
		return out, err
	}
	p.takes(len(out))
	rest, err := io.ReadAll(io.LimitReader(r, int64(MaxBatchBytes+1-len(out))))
	if err != nil {
		return nil, err
	}
	if len(out)+len(rest) > MaxBatchBytes {
		return nil, errTooLarge
	}
	return append(out, rest...), nil
}

// javaSnappy starts the framing that the Java client puts around snappy blocks:
// this, two 32-bit versions, then blocks with a 32-bit length each.
const (
	javaSnappy            = "\x82SNAPPY\x00"
	javaSnappyHeaderBytes = len(javaSnappy) + 8
)

// unsnappy decompresses one snappy block, or a sequence of them in the Java client's framing.
func (p *unpacking) unsnappy(src []byte) ([]byte, error) {
	if len(src) <= javaSnappyHeaderBytes || string(src[:len(javaSnappy)]) != javaSnappy {
		return p.appendSnappy(nil, src)
	}
	var out []byte
	for rest := src[javaSnappyHeaderBytes:]; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if rest = rest[4:]; n > int64(len(rest)) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if out, err = p.appendSnappy(out, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return out, nil
}

// appendSnappy decompresses one block to the end of out. A block says its size
// first, so a bomb is found before it is decompressed.
func (p *unpacking) appendSnappy(out, block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if len(out)+n > MaxBatchBytes {
		return nil, errTooLarge
	}
	p.takes(len(out) + n)
	piece, err := s2.Decode(nil, block)
	if err != nil {
		return nil, errors.Join(errors.New("snappy block"), err)
	}
	return append(out, piece...), nil
}
