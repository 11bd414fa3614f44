package engineio

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func readPayload(body []byte) (all []packet, err error) {
	err = parsePayload(body, func(p packet) bool { all = append(all, p); return true })
	return all, err
}

func TestPayloads(t *testing.T) {
	message := func(text string) packet { return packet{kind: kindMessage, data: []byte(text)} }
	for body, want := range map[string][]packet{
		"4":                     {message("")},
		"4hello":                {message("hello")},
		"4hello\x1e2\x1e4world": {message("hello"), {kind: kindPing, data: []byte{}}, message("world")},
		"4hello\x1ebAQIDBA==":   {message("hello"), {kind: kindMessage, binary: true, data: []byte{1, 2, 3, 4}}},
		"b":                     {{kind: kindMessage, binary: true}},
		"2probe":                {{kind: kindPing, data: []byte("probe")}},
		"4b\x1e4\u20ac\x1e6\x1e1": {message("b"), message("€"), {kind: kindNoop, data: []byte{}},
			{kind: kindClose, data: []byte{}}},
	} {
		got, err := readPayload([]byte(body))
		if err != nil {
			t.Errorf("%q: %v", body, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(packet{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
		if back := appendPayload(nil, got); string(back) != body {
			t.Errorf("%q became %q", body, back)
		}
	}
}

func TestMalformedPayloads(t *testing.T) {
	for body, want := range map[string]error{
		"": errEmpty, "4a\x1e": errEmpty, "\x1e4a": errEmpty, "4a\x1e\x1e4b": errEmpty,
		"7": errKind, "abc": errKind, "/": errKind, "\x00": errKind, "é": errKind, "\t4": errKind,
		"4\xff": errUTF8, "4\xed\xa0\x80": errUTF8, "2\xc3": errUTF8,
		"b*": errBase64, "bAQ": errBase64, "bAQI=AQI=": errBase64, "b-_-_": errBase64,
	} {
		if got, err := readPayload([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%q is %v, %v; want %v", body, got, err, want)
		}
	}
}

// Reading stops where the visitor says.
func TestPayloadIsLeft(t *testing.T) {
	seen := 0
	err := parsePayload([]byte("1\x1eabc"), func(packet) bool { seen++; return false })
	if err != nil || seen != 1 {
		t.Errorf("%d packets, %v", seen, err)
	}
}

func packets() *rapid.Generator[packet] {
	return rapid.Custom(func(t *rapid.T) packet {
		p := packet{kind: rapid.SampledFrom([]kind{kindOpen, kindClose, kindPing, kindPong, kindMessage, kindUpgrade,
			kindNoop}).Draw(t, "kind")}
		if p.binary = p.kind == kindMessage && rapid.Bool().Draw(t, "binary"); p.binary {
			p.data = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		} else {
			p.data = bytes.ReplaceAll([]byte(rapid.String().Draw(t, "text")), []byte{separator}, nil)
		}
		return p
	})
}

func samePacket(a, b packet) bool {
	return a.kind == b.kind && a.binary == b.binary && bytes.Equal(a.data, b.data)
}

func TestEveryPayloadComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(packets(), 1, 20).Draw(t, "packets")
		got, err := readPayload(appendPayload(nil, want))
		if err != nil || !slices.EqualFunc(got, want, samePacket) {
			t.Fatalf("%v became %v, %v", want, got, err)
		}
		for _, p := range want {
			if p.binary {
				continue // its frame is its data
			}
			if got, err := parsePacket(p.appendFrame(nil)); err != nil || !samePacket(got, p) {
				t.Fatalf("%v became %v, %v", p, got, err)
			}
		}
	})
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"4hello\x1e2\x1e4world", "bAQIDBA==", "4\x1eb", "abc", "", "0{}", "4\xff", "3probe"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := readPayload(body)
		if err != nil {
			return
		}
		back, err := readPayload(appendPayload(nil, all))
		if err != nil || !slices.EqualFunc(back, all, samePacket) {
			t.Errorf("%q is %v and then %v, %v", body, all, back, err)
		}
	})
}

func FuzzPacket(f *testing.F) {
	for _, seed := range []string{"4hello", "2probe", "bAQIDBA==", "", "9", "4\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePart(text)
		if err != nil {
			return
		}
		if !p.binary && (!utf8.Valid(p.data) || string(p.appendFrame(nil)) != string(text)) {
			t.Errorf("%q is %v", text, p)
		}
	})
}

// The outbox is a plain list, taken in bits.
func TestOutbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var box outbox
		var model []packet
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				more := rapid.SliceOfN(packets(), 0, 5).Draw(t, "packets")
				box.push(more...)
				model = append(model, more...)
				continue
			}
			count, size := rapid.IntRange(1, 8).Draw(t, "count"), rapid.IntRange(1, 400).Draw(t, "size")
			got := box.take(nil, count, size)
			if len(got) > count || len(model) > 0 && len(got) == 0 || !slices.EqualFunc(got, model[:len(got)], samePacket) {
				t.Fatalf("took %v of %v", got, model)
			}
			total := 0
			for _, p := range got {
				total += p.size()
			}
			if len(got) > 1 && total > size {
				t.Fatalf("took %d bytes, want %d or one packet", total, size)
			}
			model = model[len(got):]
		}
		total := 0
		for _, p := range model {
			total += p.size()
		}
		if box.bytes != total || box.empty() != (len(model) == 0) {
			t.Fatalf("%d bytes wait, want %d", box.bytes, total)
		}
	})
}
