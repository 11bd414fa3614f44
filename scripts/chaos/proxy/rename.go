package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rename puts the proxy's ports in the place of the brokers' in the answers by
// which clients learn where to go.
func (p *Proxy) rename(frame []byte, r request) ([]byte, error) {
	switch r.key {
	case metadata, coordinator, cluster:
	case Produce, Fetch: // name a new leader where there is more than one node
		if len(p.addrs) == 1 {
			return frame, nil
		}
	default:
		return frame, nil
	}
	answer := kmsg.ResponseForKey(r.key)
	answer.SetVersion(r.version)
	header := 8
	if answer.IsFlexible() {
		if header++; len(frame) < header || frame[8] != 0 {
			return nil, errors.New("read answer: its header has tags")
		}
	}
	if err := answer.ReadFrom(frame[header:]); err != nil {
		return nil, fmt.Errorf("read answer to request %d version %d: %w", r.key, r.version, err)
	}
	p.renameIn(answer)
	renamed := answer.AppendTo(append(make([]byte, 0, len(frame)+16), frame[:header]...))
	binary.BigEndian.PutUint32(renamed, uint32(len(renamed)-4))
	return renamed, nil
}

func (p *Proxy) renameIn(answer kmsg.Response) {
	switch a := answer.(type) {
	case *kmsg.MetadataResponse:
		for i := range a.Brokers {
			p.swap(&a.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		p.swap(&a.Port)
		for i := range a.Coordinators {
			p.swap(&a.Coordinators[i].Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range a.Brokers {
			p.swap(&a.Brokers[i].Port)
		}
	case *kmsg.ProduceResponse:
		for i := range a.Brokers {
			p.swap(&a.Brokers[i].Port)
		}
	case *kmsg.FetchResponse:
		for i := range a.Brokers {
			p.swap(&a.Brokers[i].Port)
		}
	}
}

func (p *Proxy) swap(port *int32) {
	if own, ok := p.ports[*port]; ok {
		*port = own
	}
}
