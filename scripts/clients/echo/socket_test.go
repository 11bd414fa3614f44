package main

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
)

// The cases of the Socket.IO protocol's test suite that are not Engine.IO's.

const sockets = "/socket.io/"

// connect opens a WebSocket and connects to the main namespace.
func connect(t *testing.T, s *engineiotest.Server) *engineiotest.Socket {
	t.Helper()
	k := s.OpenSocket(sockets)
	welcomed(t, k, "40", "40", `{}`)
	return k
}

// welcomed connects with a packet and expects the namespace's welcome and the
// event with what was given.
func welcomed(t *testing.T, k *engineiotest.Socket, packet, prefix, auth string) (id string) {
	t.Helper()
	k.Says(packet)
	_, text := k.Next()
	var data struct {
		SID string `json:"sid"`
	}
	rest, found := strings.CutPrefix(text, prefix)
	if err := json.Unmarshal([]byte(rest), &data, json.RejectUnknownMembers(true)); err != nil || !found ||
		data.SID == "" {
		t.Fatalf("%q was answered %q: %v", packet, text, err)
	}
	k.Wants("42" + prefix[2:] + `["auth",` + auth + `]`)
	return data.SID
}

func TestSocketConnect(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		ids := map[string]bool{}
		for _, tt := range []struct{ packet, prefix, auth string }{
			{"40", "40", `{}`},
			{`40{"token":"123"}`, "40", `{"token":"123"}`},
			{"40/custom", "40/custom,", `{}`},
			{"40/custom,", "40/custom,", `{}`},
			{`40/custom,{"token":"abc"}`, "40/custom,", `{"token":"abc"}`},
		} {
			k := s.OpenSocket(sockets)
			id := welcomed(t, k, tt.packet, tt.prefix, tt.auth)
			if ids[id] || id == k.SID {
				t.Errorf("%q: the socket's id %q is another's, or the secret one of the connection", tt.packet, id)
			}
			ids[id] = true
		}
	})
}

func TestSocketUnknownNamespace(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.OpenSocket(sockets)
		k.Says("40/random")
		k.Wants(`44/random,{"message":"Invalid namespace"}`)
		welcomed(t, k, "40", "40", `{}`) // it may try another
	})
}

func TestSocketInvalid(t *testing.T) {
	for name, packets := range map[string][]string{
		"handshake":           {"4abc"},
		"event at first":      {`42["message"]`},
		"no handshake":        {},
		"connected twice":     {"40", "40"},
		"type":                {"40", "4abc"},
		"payload":             {"40", "42{}"},
		"no payload":          {"40", "42"},
		"no name":             {"40", "42[]"},
		"reserved name":       {"40", `42["disconnect"]`},
		"ack id":              {"40", `42abc["message-with-ack",1]`},
		"other namespace":     {"40", `42/custom,["message"]`},
		"refusal":             {"40", `44{"message":"no"}`},
		"text for attachment": {"40", `451-["message",{"_placeholder":true,"num":0}]`, `42["message"]`},
		"many attachments":    {"40", `45999-["message"]`},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, s *engineiotest.Server) {
				k := s.OpenSocket(sockets)
				for _, packet := range packets {
					k.Says(packet)
				}
				if code, reason := k.Closed(); code != 1008 || reason == "" {
					t.Errorf("closed with %d %q", code, reason)
				}
			})
		})
	}
}

func TestSocketDisconnect(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := connect(t, s)
		k.Says("41")
		k.Wants("2") // nothing but the heartbeat
		k.Says("3")

		k = connect(t, s)
		welcomed(t, k, "40/custom", "40/custom,", `{}`)
		k.Says("41/custom")
		k.Says(`42["message","to the main namespace"]`)
		k.Wants(`42["message-back","to the main namespace"]`)
		welcomed(t, k, "40/custom,", "40/custom,", `{}`) // and back
	})
}

func TestSocketMessage(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := connect(t, s)
		k.Says(`42["message",1,"2",{"3":[true]}]`)
		k.Wants(`42["message-back",1,"2",{"3":[true]}]`)
		k.Says(`42456["message-with-ack",1,"2",{"3":[false]}]`)
		k.Wants(`43456[1,"2",{"3":[false]}]`)

		const two = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		k.Says(`452-["message",` + two)
		k.SaysBytes(1, 2, 3)
		k.SaysBytes(4, 5, 6)
		k.Wants(`452-["message-back",` + two)
		k.WantsBytes(1, 2, 3)
		k.WantsBytes(4, 5, 6)
		k.Says(`452-789["message-with-ack",` + two)
		k.SaysBytes(1, 2, 3)
		k.SaysBytes(4, 5, 6)
		k.Wants(`462-789[` + two)
		k.WantsBytes(1, 2, 3)
		k.WantsBytes(4, 5, 6)
	})
}

// The same over polling, where attachments are base64 and packets share a body.
func TestSocketOverPolling(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(sockets)
		k.Says("40")
		if _, text := k.Poll(); !strings.HasPrefix(text, `40{"sid":"`) {
			t.Fatalf("the welcome is %q", text)
		}
		k.Wants(`42["auth",{}]`)
		k.Says("42[\"message\",\"é\"]\x1e451-7[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==")
		k.Wants("42[\"message-back\",\"é\"]\x1e461-7[{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==")
		ws := k.Upgrade()
		ws.Says(`42["message","more"]`)
		ws.Wants(`42["message-back","more"]`)
	})
}
