package kafka

import (
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// Room for what is around the bytes that schemas counts: headers, key, and the batch that a record travels in. The
// producer leaves half of it to the broker, whose own reckoning of a batch differs by some bytes.
const (
	sizeSlackBytes     = 64 << 10
	producerSlackBytes = sizeSlackBytes / 2
)

// takesEvents reports whether a topic carries tasks inside something else and so needs twice the room. The names are
// compared from the end because the prefix is not known everywhere a size is needed.
func takesEvents(topic string) bool {
	var plain schemas.Topics
	for _, name := range []string{plain.Events(), plain.DeadLetters(), plain.Scheduled(), plain.Webhooks()} {
		if strings.HasSuffix(topic, name) {
			return true
		}
	}
	return false
}

// valueBytes is the largest value meant for a topic.
func valueBytes(topic string) int {
	if takesEvents(topic) {
		return max(schemas.MaxEventBytes, schemas.MaxDeadLetterBytes)
	}
	return schemas.MaxTaskBytes
}

// maxBatchBytes is how large a batch the producer sends to a topic.
func maxBatchBytes(topic string) int32 {
	return int32(valueBytes(topic) + producerSlackBytes)
}

// MaxMessageBytes is a topic's max.message.bytes.
func MaxMessageBytes(topic string) int {
	return valueBytes(topic) + sizeSlackBytes
}
