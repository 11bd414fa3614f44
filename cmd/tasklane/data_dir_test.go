package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestAnInstanceIDIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	first, err := instanceID(dir)
	if err != nil || first == "" {
		t.Fatalf("id %q, error %v", first, err)
	}
	if again, err := instanceID(dir); err != nil || again != first {
		t.Errorf("the second time %q, want %q; error %v", again, first, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != instanceFile {
		t.Errorf("left behind %v, error %v", entries, err)
	}
	if other, err := instanceID(t.TempDir()); err != nil || other == first {
		t.Errorf("another directory has %q too", other)
	}
}

func TestManyAtOnceAgreeOnOneID(t *testing.T) {
	dir := t.TempDir()
	ids := make([]string, 20)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			id, err := instanceID(dir)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("%q and %q", id, ids[0])
		}
	}
}

func TestABrokenInstanceIDIsRefused(t *testing.T) {
	for _, content := range []string{"", "two words", "a\nb", strings.Repeat("x", 101)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, instanceFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := instanceID(dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("content %q: error %v", content, err)
		}
	}
}

func TestADataDirectoryThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := instanceID(filepath.Join(file, "data")); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("error %v", err)
	}
}
