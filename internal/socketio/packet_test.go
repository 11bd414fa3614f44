package socketio

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

func TestPackets(t *testing.T) {
	for text, want := range map[string]struct {
		packet      Packet
		attachments int
	}{
		`0`: {Packet{Type: Connect, Namespace: Root, ID: NoID}, 0},
		`0{"token":"123"}`: {Packet{Type: Connect, Namespace: Root, ID: NoID, Data: jsontext.Value(`{"token":"123"}`)},
			0},
		`0/admin,{"sid":"a,b"}`: {Packet{Type: Connect, Namespace: "/admin", ID: NoID, Data: jsontext.Value(`{"sid":"a,b"}`)},
			0},
		`1/admin,`:          {Packet{Type: Disconnect, Namespace: "/admin", ID: NoID}, 0},
		`2["foo"]`:          {Packet{Type: Event, Namespace: Root, ID: NoID, Data: jsontext.Value(`["foo"]`)}, 0},
		`212["foo"]`:        {Packet{Type: Event, Namespace: Root, ID: 12, Data: jsontext.Value(`["foo"]`)}, 0},
		`2/a,0[1,null]`:     {Packet{Type: Event, Namespace: "/a", ID: 0, Data: jsontext.Value(`[1,null]`)}, 0},
		`3/admin,13["bar"]`: {Packet{Type: Ack, Namespace: "/admin", ID: 13, Data: jsontext.Value(`["bar"]`)}, 0},
		`30[]`:              {Packet{Type: Ack, Namespace: Root, ID: 0, Data: jsontext.Value(`[]`)}, 0},
		`4{"message":"no"}`: {Packet{Type: ConnectError, Namespace: Root, ID: NoID,
			Data: jsontext.Value(`{"message":"no"}`)}, 0},
		`51-["baz",{"_placeholder":true,"num":0}]`: {Packet{Type: BinaryEvent, Namespace: Root, ID: NoID,
			Data: jsontext.Value(`["baz",{"_placeholder":true,"num":0}]`)}, 1},
		`52-/admin,7["baz"]`: {Packet{Type: BinaryEvent, Namespace: "/admin", ID: 7,
			Data: jsontext.Value(`["baz"]`)}, 2},
		`50-["none"]`: {Packet{Type: BinaryEvent, Namespace: Root, ID: NoID,
			Data: jsontext.Value(`["none"]`)}, 0},
		`61-15["bar"]`: {Packet{Type: BinaryAck, Namespace: Root, ID: 15,
			Data: jsontext.Value(`["bar"]`)}, 1},
	} {
		got, attachments, err := Parse([]byte(text))
		if err != nil || attachments != want.attachments {
			t.Errorf("%s: %d attachments, %v", text, attachments, err)
		}
		if diff := cmp.Diff(want.packet, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		got.Attachments = make([][]byte, attachments)
		if back := got.Append(nil); string(back) != text {
			t.Errorf("%s became %s", text, back)
		}
	}
}

func TestMalformedPackets(t *testing.T) {
	for text, says := range map[string]string{
		``: "type", `7`: "type", `abc`: "type", "\x00": "type", `9["a"]`: "type",
		`0[]`: "connect", `0"a"`: "connect", `0{`: "JSON", `0{"a":1}x`: "JSON", `0{"a":1,"a":2}`: "JSON",
		`1[]`: "disconnect", `1{}`: "disconnect",
		`2`: "event", `2{}`: "event", `2[]`: "event", `2[{}]`: "name", `2[null]`: "name", `2["a"`: "JSON",
		`2abc["a"]`:    "JSON",
		`2["connect"]`: "reserved", `2["disconnecting"]`: "reserved", `2["newListener"]`: "reserved",
		`2/nowhere["a"]`: "event", `21234567890123456["a"]`: "id is too long",
		`3[]`: "no id", `31`: "array", `31{}`: "array",
		`4`: "connect error", `4[]`: "connect error",
		`5["a"]`: "attachments", `5-["a"]`: "attachments", `5x-["a"]`: "attachments", `511-["a"]`: "more than 10",
		`5999-["a"]`: "attachments", `5-1-["a"]`: "attachments",
		`61-["a"]`:                        "no id",
		`2` + strings.Repeat("[", 60_000): "JSON",
		"2[\"\xff\"]":                     "JSON",
	} {
		got, _, err := Parse([]byte(text))
		if !errors.Is(err, ErrPacket) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q is %v, %v; want an error that says %q", text, got, err, says)
		}
	}
}

func TestEveryPacketComesBack(t *testing.T) {
	objects := rapid.SampledFrom([]string{`{}`, `{"a":[1,2,{"b":null}]}`, `{"sid":"x,y"}`})
	arrays := rapid.SampledFrom([]string{`["a"]`, `["é",{"_placeholder":true,"num":0}]`, `[17,true]`, `["a,b",[[]]]`})
	rapid.Check(t, func(t *rapid.T) {
		want := Packet{Namespace: Root, ID: NoID}
		want.Type = rapid.SampledFrom([]Type{Connect, Disconnect, Event, Ack, ConnectError, BinaryEvent, BinaryAck}).Draw(t,
			"type")
		if rapid.Bool().Draw(t, "namespaced") {
			want.Namespace = "/" + rapid.StringMatching(`[^,]{1,8}`).Draw(t, "namespace")
		}
		id := rapid.Int64Range(0, 999_999_999_999_999)
		switch want.Type {
		case Connect, ConnectError:
			want.Data = jsontext.Value(objects.Draw(t, "data"))
		case Event, BinaryEvent:
			want.Data = jsontext.Value(arrays.Draw(t, "data"))
			if rapid.Bool().Draw(t, "acked") {
				want.ID = id.Draw(t, "id")
			}
		case Ack, BinaryAck:
			want.Data, want.ID = jsontext.Value(arrays.Draw(t, "data")), id.Draw(t, "id")
		}
		if want.binary() {
			want.Attachments = make([][]byte, rapid.IntRange(0, MaxAttachments).Draw(t, "attachments"))
		}
		got, attachments, err := Parse(want.Append(nil))
		if err != nil || attachments != len(want.Attachments) {
			t.Fatalf("%s: %d attachments, %v", want.Append(nil), attachments, err)
		}
		got.Attachments = want.Attachments
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestAppendEvent(t *testing.T) {
	got := AppendEvent(nil, "na\"me\x1e", jsontext.Value(`1`), jsontext.Value(`{"a":[]}`))
	if want := `2["na\"me\u001e",1,{"a":[]}]`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if bytes.ContainsRune(got, '\x1e') {
		t.Error("the payload's separator is in a packet")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`0`, `0/admin,{"a":1}`, `1/a,`, `212["foo"]`, `30[]`, `4{"message":"no"}`,
		`52-/a,7["b"]`, `61-15["bar"]`, `2 ["a"]`, `5-1-["a"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, attachments, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrPacket) {
				t.Errorf("%q: %v is no ErrPacket", text, err)
			}
			return
		}
		if p.Type == Event || p.Type == BinaryEvent {
			if _, _, err := p.event(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		p.Attachments = make([][]byte, attachments)
		again, count, err := Parse(p.Append(nil))
		again.Attachments = p.Attachments
		if err != nil || count != attachments || !cmp.Equal(p, again) {
			t.Errorf("%q is %+v and then %+v, %d attachments, %v", text, p, again, count, err)
		}
	})
}
