package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// Upload is a file that is being stored, for one goroutine. It is on disk, not in memory, while it
// comes. It must be closed; what was not committed by then is gone.
type Upload struct {
	store  *Store
	user   string
	file   *os.File
	summed hash.Hash
	size   int64
	taken  int64 // room, in bytes: taken ahead, in steps
	failed error
	close  func()
}

// roomStep is how much room is taken at a time.
const roomStep = 1 << 20

// Create begins a file of a user, or of [Everybody]. The error is [ErrBusy] if too many are on their way.
func (s *Store) Create(user string) (*Upload, error) {
	if err := s.usage.begin(userKey(user)); err != nil {
		s.meters.refused(err)
		return nil, err
	}
	file, err := os.CreateTemp(s.drafts, "file-*")
	if err != nil {
		s.usage.leave(userKey(user), 0)
		return nil, s.diskError(fmt.Errorf("create file: %w", err))
	}
	u := &Upload{store: s, user: user, file: file, summed: sha256.New()}
	u.close = sync.OnceFunc(func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
		s.usage.leave(userKey(user), u.taken)
	})
	return u, nil
}

// Expect says how many bytes will be written, as far as that is known: the error is that of the Write that would not
// fit. No room is taken by it, for whoever says so may never send them.
func (u *Upload) Expect(size int64) error {
	taken := u.taken
	err := u.room(size)
	if u.taken > taken {
		u.store.usage.giveBack(userKey(u.user), u.taken-taken)
		u.taken = taken
	}
	u.store.meters.refused(err)
	return err
}

// Write adds to the file. It fails with [ErrTooLarge], [ErrUserFull] or [ErrFull], and so does the
// upload then.
func (u *Upload) Write(p []byte) (int, error) {
	if u.failed != nil {
		return 0, u.failed
	}
	if err := u.room(int64(len(p))); err != nil {
		u.store.meters.refused(err)
		u.failed = err
		return 0, err
	}
	n, err := u.file.Write(p)
	_, _ = u.summed.Write(p[:n])
	u.size += int64(n)
	if err != nil {
		u.failed = u.store.diskError(fmt.Errorf("write file: %w", err))
		u.store.meters.refused(u.failed)
		return n, u.failed
	}
	return n, nil
}

func (u *Upload) room(n int64) error {
	s := u.store
	if u.size+n > s.config.MaxFileBytes {
		return ErrTooLarge
	}
	if u.size+n <= u.taken {
		return nil
	}
	more := max(u.size+n-u.taken, min(roomStep, s.config.MaxFileBytes-u.taken))
	if free, known := s.free(s.config.Dir); known && free-more < s.config.MinFreeBytes {
		return ErrFull
	}
	if s.usage.take(userKey(u.user), more) != nil {
		// There may be room for what is there, though not for a step.
		more = u.size + n - u.taken
		err := s.usage.take(userKey(u.user), more)
		if full := new(UserFullError); errors.As(err, &full) {
			full.Used -= u.taken // what is there of this one
		}
		if err != nil {
			return err
		}
	}
	u.taken += more
	return nil
}

// diskError tells a full disk from other errors.
func (s *Store) diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Size is how many bytes were written.
func (u *Upload) Size() int64 { return u.size }

// Close gives the upload up, unless it was committed. It can be called at any time, and again.
func (u *Upload) Close() { u.close() }

// Commit stores the file under a name and media type, both of which may be empty. Once it has
// returned the file is there, for at least the store's retention, and longer by more. An upload that
// could not be committed because the store did not answer can be committed again.
func (u *Upload) Commit(ctx context.Context, name, kind string, more time.Duration) (Info, error) {
	if u.failed != nil {
		return Info{}, u.failed
	}
	kept, wrong := CheckType(kind)
	if wrong != "" {
		return Info{}, fmt.Errorf("store artifact: its type %s", wrong)
	}
	if wrong := CheckName(name); wrong != "" {
		return Info{}, fmt.Errorf("store artifact: its name %s", wrong)
	}
	now := u.store.config.now().UTC().Truncate(time.Second)
	info := Info{
		Hash: hex.EncodeToString(u.summed.Sum(nil)), Size: u.size, Type: kept, Name: name, User: u.user,
		CreatedAt: now, ExpiresAt: now.Add(u.store.config.Retention + more + time.Second),
	}
	info, err := u.store.store(ctx, u.file, info)
	if err != nil {
		return Info{}, u.store.diskError(u.store.unavailable(ctx, err))
	}
	u.store.meters.uploads.Inc()
	return info, nil
}

// commitTries bounds how often a file is written anew because the store was slow or the generation
// that was there is being removed.
const commitTries = 3

// errSlow says that writing took so long that the file may be removed already.
var errSlow = errors.New("the store took too long to write the file")

// store writes a file and then its grant, and makes sure that the file is not about to be removed.
func (s *Store) store(ctx context.Context, draft *os.File, info Info) (Info, error) {
	mine, err := s.bucket.List(ctx, userGrants(info.Hash, info.User))
	if err != nil {
		return Info{}, err
	}
	for _, o := range mine {
		if g, ok := parseGrant(o.key); ok && g.expires.After(info.ExpiresAt) {
			info.ExpiresAt = g.expires.UTC()
		}
	}
	for range commitTries {
		began := s.config.now()
		generation, there, err := s.generationFor(ctx, info.Hash)
		if err != nil {
			return Info{}, err
		}
		// Also if it is there: how long this takes must not tell that somebody has the same, and
		// what is damaged is mended by it.
		if err := s.bucket.Put(ctx, blobKey(info.Hash, generation), draft, info.Size); err != nil {
			return Info{}, err
		}
		key := grantKey(info.Hash, info.User, generation, info.ExpiresAt)
		text, err := json.Marshal(info)
		if err != nil {
			return Info{}, fmt.Errorf("encode grant: %w", err)
		}
		if err := s.putBytes(ctx, key, text); err != nil {
			return Info{}, err
		}
		marked, err := s.isDoomed(ctx, info.Hash, generation)
		if err != nil {
			return Info{}, err
		}
		if marked || s.config.now().Sub(began) >= s.config.grace() {
			// This grant may name a file that is gone, and would stand in front of the one that is written now. One that
			// was there before is of a file that is.
			if !slices.ContainsFunc(mine, func(o object) bool { return o.key == key }) {
				if err := s.bucket.Delete(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
					return Info{}, err
				}
			}
			continue
		}
		s.settle(ctx, mine, key, info, there)
		return info, nil
	}
	return Info{}, errSlow
}

// settle counts a file that was stored, and removes grants that it took the place of.
func (s *Store) settle(ctx context.Context, before []object, key string, info Info, there bool) {
	more, total := info.Size, info.Size
	if len(before) > 0 {
		more = 0
	}
	if there {
		total = 0
	}
	s.usage.stored(userKey(info.User), more, total)
	for _, o := range before {
		if o.key != key {
			_ = s.bucket.Delete(ctx, o.key) // it expires by itself
		}
	}
}

// generationFor is the generation to store a content as: one that is there and not about to be
// removed, or the hour's.
func (s *Store) generationFor(ctx context.Context, hash string) (generation string, there bool, _ error) {
	all, err := s.bucket.List(ctx, blobsOf(hash))
	if err != nil {
		return "", false, err
	}
	marks := marksOf(all)
	for _, o := range slices.Backward(all) {
		name := generationOf(o.key)
		if _, marked := marks[name]; !marked && !strings.HasSuffix(o.key, doomed) {
			return name, true, nil
		}
	}
	fresh := s.generation(s.config.now())
	for _, marked := marks[fresh]; marked; _, marked = marks[fresh] {
		fresh += "1" // the clock was set back
	}
	return fresh, false, nil
}

// generation is the name of those that are first written at a time. A period is as long as the
// grace, so that none is written any more when it is removed.
func (s *Store) generation(at time.Time) string {
	return strconv.FormatInt(at.Unix()/int64(s.config.grace()/time.Second), 16)
}

func (s *Store) isDoomed(ctx context.Context, hash, generation string) (bool, error) {
	all, err := s.bucket.List(ctx, blobsOf(hash))
	if err != nil {
		return false, err
	}
	_, marked := marksOf(all)[generation]
	return marked, nil
}

// generationOf is the generation in the key of a file or mark.
func generationOf(key string) string {
	return strings.TrimSuffix(key[strings.LastIndexByte(key, '/')+1:], doomed)
}

// marksOf are the marks among objects, by generation.
func marksOf(all []object) map[string]object {
	marks := map[string]object{}
	for _, o := range all {
		if strings.HasSuffix(o.key, doomed) {
			marks[generationOf(o.key)] = o
		}
	}
	return marks
}
