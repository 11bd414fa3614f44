package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

const (
	// ticketLifetime is how long a ticket may be used, and ticketSkew how far
	// the clock of the instance that made it may be ahead.
	ticketLifetime = 30 * time.Second
	ticketSkew     = 60 * time.Second
	// maxUsed bounds the tickets that are remembered as used in a time in which
	// none of them can expire unnoticed.
	maxUsed = 100_000
	// maxTicketBytes is a ticket for the longest user.
	maxTicketBytes = 2 << 10
	ticketVersion  = 1
)

// Sizes of a ticket's parts, in bytes: version, flags, its own end, the
// identity's end, and what makes it different from all others.
const (
	ticketNonce  = 16
	ticketHeader = 2 + 8 + 8 + ticketNonce
)

type nonce [ticketNonce]byte

// tickets makes tickets and takes each once. A ticket is signed and says all
// there is to know, so any instance with the same key can take it; that it was
// used is remembered only where it was.
type tickets struct {
	key []byte

	mu sync.Mutex
	// used and before are the tickets used since turned and in the time before
	// that. Both together cover the time in which a ticket can still be taken.
	used, before map[nonce]struct{}
	turned       time.Time
}

// newTicketsFor derives the key from the configuration's secret.
func newTicketsFor(c Config) (*tickets, error) {
	path := c.TicketSecretFile
	if path == "" && len(c.SecretFiles) > 0 {
		path = c.SecretFiles[0]
	}
	if path == "" {
		secret := make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails: it ends the process instead
		return newTickets(secret)
	}
	secret, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	return newTickets(secret)
}

// newTickets derives the key, so that a secret that also signs tokens signs
// nothing that could be taken for one.
func newTickets(secret []byte) (*tickets, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "tasklane ticket 1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of tickets: %w", err)
	}
	return &tickets{key: key, used: map[nonce]struct{}{}, before: map[nonce]struct{}{}, turned: time.Now()}, nil
}

// Ticket makes a ticket that stands for the identity once, soon.
func (v *Verifier) Ticket(who Identity) (text string, expires time.Time) {
	v.metrics.issued.Inc()
	return v.tickets.issue(who, time.Now())
}

// Redeem says who a ticket stands for.
func (v *Verifier) Redeem(text string) (Identity, *RefusalError) {
	who, refused := v.tickets.redeem(text, time.Now())
	if refused != nil {
		return Identity{}, v.Count(refused)
	}
	v.metrics.redeemed.Inc()
	return who, nil
}

func (t *tickets) issue(who Identity, now time.Time) (string, time.Time) {
	expires := now.Add(ticketLifetime).Truncate(time.Second)
	if !who.Expires.IsZero() && who.Expires.Before(expires) {
		expires = who.Expires
	}
	b := make([]byte, 0, ticketHeader+len(who.User)+sha256.Size)
	flags := byte(0)
	if who.Admin {
		flags = 1
	}
	b = append(b, ticketVersion, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(expires.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(unixOrZero(who.Expires)))
	b = append(b, make([]byte, ticketNonce)...)
	_, _ = rand.Read(b[len(b)-ticketNonce:])
	b = append(b, who.User...)
	return base64.RawURLEncoding.EncodeToString(append(b, t.sign(b)...)), expires
}

func (t *tickets) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(b)
	return mac.Sum(nil)
}

func (t *tickets) redeem(text string, now time.Time) (Identity, *RefusalError) {
	if len(text) > maxTicketBytes {
		return Identity{}, &RefusalError{Reason: BadTicket}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) <= ticketHeader+sha256.Size {
		return Identity{}, &RefusalError{Reason: BadTicket}
	}
	body := b[:len(b)-sha256.Size]
	if !hmac.Equal(t.sign(body), b[len(body):]) || body[0] != ticketVersion {
		return Identity{}, &RefusalError{Reason: BadTicket}
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(body[2:])), 0)
	who := Identity{Admin: body[1]&1 != 0, User: string(body[ticketHeader:])}
	if end := int64(binary.BigEndian.Uint64(body[10:])); end != 0 {
		who.Expires = time.Unix(end, 0)
	}
	switch {
	case !now.Before(expires), !who.Expires.IsZero() && !now.Before(who.Expires):
		return Identity{}, &RefusalError{Reason: LateTicket}
	case expires.After(now.Add(ticketLifetime + ticketSkew)), schemas.CheckUserID(who.User) != "":
		return Identity{}, &RefusalError{Reason: BadTicket}
	}
	return who, t.use(nonce(body[18:ticketHeader]), now)
}

// use takes down that a ticket was used. It refuses one that was before, and
// all when too many would have to be remembered.
func (t *tickets) use(n nonce, now time.Time) *RefusalError {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.turned) > ticketLifetime+ticketSkew {
		t.before, t.used, t.turned = t.used, map[nonce]struct{}{}, now
	}
	_, once := t.used[n]
	_, twice := t.before[n]
	switch {
	case once || twice:
		return &RefusalError{Reason: UsedTicket}
	case len(t.used) >= maxUsed:
		return &RefusalError{Reason: TicketsFull}
	}
	t.used[n] = struct{}{}
	return nil
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
