package fold

import (
	"crypto/sha256"
)

// Identity tells tasks apart: a hash of (user_id, task_id).
type Identity [16]byte

// IdentityOf is the identity of a task. The hash is cryptographic because the
// ids are chosen by senders, and a collision would suppress a task.
func IdentityOf(userID, taskID string) Identity {
	b := make([]byte, 0, 128)
	b = append(append(append(b, userID...), 0), taskID...)
	sum := sha256.Sum256(b)
	return Identity(sum[:16])
}
