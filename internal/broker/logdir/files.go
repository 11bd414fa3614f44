package logdir

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
)

// ErrChecksum says that a file with a checksum is damaged.
var ErrChecksum = errors.New("its checksum does not fit")

// Checksum is that of a file of the engine's, or of the broker's own.
func Checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// WriteChecked writes a file with its checksum in the first line. A synced one survives a power cut.
func WriteChecked(path string, data []byte, synced bool) error {
	text := append(fmt.Appendf(nil, "%08x\n", Checksum(data)), data...)
	if synced {
		return ReplaceFile(path, text)
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return rename(path)
}

// ReadChecked reads what WriteChecked wrote.
func ReadChecked(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	sum, data, found := strings.Cut(string(text), "\n")
	if !found || sum != fmt.Sprintf("%08x", Checksum([]byte(data))) {
		return nil, fmt.Errorf("read %s: %w", path, ErrChecksum)
	}
	return []byte(data), nil
}

// ReplaceFile writes a file so that it is there whole or as it was, also after a power cut.
func ReplaceFile(path string, data []byte) error {
	if err := WriteSynced(path+".new", data); err != nil {
		return err
	}
	return rename(path)
}

// rename puts a file that was written beside another in its place.
func rename(path string) error {
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("replace file: %w", err)
	}
	return nil
}

// WriteSynced writes a file and waits until it is on the disk.
func WriteSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

// RemoveFile removes a file, if it is there.
func RemoveFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a file that is not needed: %w", err)
	}
	return nil
}

// Subdirectories lists the directories in dir, none if there is no dir.
func Subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list directory: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
