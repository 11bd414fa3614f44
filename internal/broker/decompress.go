package broker

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MaxBatchBytes is the most that one compressed batch may decompress to.
const MaxBatchBytes = 64 << 20

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

// decompress returns the records of a batch, src itself if they are not
// compressed. It never takes more than about MaxBatchBytes.
func decompress(src []byte, codec uint16) ([]byte, error) {
	switch codec {
	case codecNone:
		return src, nil
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readBounded(r)
	case codecSnappy:
		return unsnappy(src)
	case codecLZ4:
		return readBounded(lz4.NewReader(bytes.NewReader(src)))
	case codecZstd:
		r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(MaxBatchBytes), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readBounded(r)
	}
	return nil, fmt.Errorf("codec %d is not known", codec)
}

// readBounded reads r to its end.
func readBounded(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, MaxBatchBytes+1))
	if err != nil {
		return nil, err
	}
	if len(out) > MaxBatchBytes {
		return nil, errTooLarge
	}
	return out, nil
}

// javaSnappy starts the framing that the Java client puts around snappy blocks:
// this, two 32-bit versions, then blocks with a 32-bit length each.
const (
	javaSnappy            = "\x82SNAPPY\x00"
	javaSnappyHeaderBytes = len(javaSnappy) + 8
)

// unsnappy decompresses one snappy block, or a sequence of them in the Java
// client's framing.
func unsnappy(src []byte) ([]byte, error) {
	if len(src) <= javaSnappyHeaderBytes || string(src[:len(javaSnappy)]) != javaSnappy {
		return appendSnappy(nil, src)
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
		if out, err = appendSnappy(out, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return out, nil
}

// appendSnappy decompresses one block to the end of out. A block says its size
// first, so a bomb is found before it is decompressed.
func appendSnappy(out, block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if len(out)+n > MaxBatchBytes {
		return nil, errTooLarge
	}
	piece, err := s2.Decode(nil, block)
	if err != nil {
		return nil, errors.Join(errors.New("snappy block"), err)
	}
	return append(out, piece...), nil
}
