package program

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFreeAddresses: none is given twice by those who share a directory, though nobody listens.
func TestFreeAddresses(t *testing.T) {
	dir := t.TempDir()
	var all []string
	for range 20 {
		some, err := FreeAddresses(t.Context(), dir, 30)
		if err != nil || len(some) != 30 {
			t.Fatalf("%d addresses, %v", len(some), err)
		}
		all = append(all, some...)
	}
	slices.Sort(all)
	if given := slices.Compact(slices.Clone(all)); len(given) != len(all) {
		t.Errorf("%d of %d addresses are given twice", len(all)-len(given), len(all))
	}
	l, err := net.Listen("tcp", all[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, port, _ := strings.Cut(all[0], ":"); port < "10000" || port > "29999" {
		t.Errorf("port %s is one that a connection may get", port)
	}
}

func TestFreeAddressesNeedADirectory(t *testing.T) {
	if _, err := FreeAddresses(t.Context(), filepath.Join(t.TempDir(), "missing"), 1); err == nil {
		t.Error("nobody knows what was given, and there is no error")
	}
}
