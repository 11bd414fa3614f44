// Package artifact keeps the files that tasks take and make, by the SHA-256 of their content: in a
// directory, or in a bucket of a store that speaks S3.
//
// # What is guaranteed
//
//   - A file is there whole or not at all, whatever is killed when, and is compared with its hash
//     while it is read from start to end.
//   - The same content is stored once. Who may read it is said by grants, one for each user, which
//     expire each by itself. Nothing tells a user whether another one has the same file: what is
//     not granted is not looked up, and a file that is stored already is written again.
//   - What has a grant is not removed, and a grant is not removed before it has expired and no
//     unfinished task of its user names the file.
//   - Several processes, on several machines with S3, agree through what is stored alone.
//
// # What is not
//
// A part of a file that is read alone is not compared with the hash. Bounds on what a user and all
// users may store count what other processes have stored since the last pass only at the next one.
//
// # How files are removed
//
// Keys are blobs/AB/HASH/GENERATION and grants/AB/HASH/USER/EXPIRES.GENERATION, USER being a hash.
// A generation is the hour in which a file was first written, so that none comes again. A file that
// no grant names for two hours is marked as doomed; it is removed an hour later, if still none does,
// and a mark is never taken back. Whoever stores the same content looks for the mark once the grant
// is written: where there is none, a later removal sees the grant; where there is one, the content
// is stored as the next generation. So no lock is needed, and a removal that comes late hits
// nothing that somebody was told is stored.
package artifact
