package engineio

// outbox is packets that wait for one client, in order. It is confined to its connection's lock; the connection decides
// when it is full.
type outbox struct {
	packets []packet
	bytes   int
}

func (o *outbox) push(packets ...packet) {
	for _, p := range packets {
		o.packets = append(o.packets, p)
		o.bytes += p.size()
	}
}

// take moves packets to batch: at most count, and none but the first past size bytes.
func (o *outbox) take(batch []packet, count, size int) []packet {
	taken, bytes := 0, 0
	for taken < len(o.packets) && taken < count {
		next := o.packets[taken].size()
		if taken > 0 && bytes+next > size {
			break
		}
		taken, bytes = taken+1, bytes+next
	}
	batch = append(batch, o.packets[:taken]...)
	o.bytes -= bytes
	// Kept from the start, so that the array does not creep through memory.
	rest := copy(o.packets, o.packets[taken:])
	clear(o.packets[rest:])
	o.packets = o.packets[:rest]
	if rest == 0 && cap(o.packets) > idlePackets {
		o.packets = nil
	}
	return batch
}

// idlePackets is how much room an empty outbox may keep.
const idlePackets = 16

func (o *outbox) empty() bool { return len(o.packets) == 0 }
