package fold

import (
	"os"
	"strings"
	"testing"
)

// The reader that docs/DELIVERY.md shows is the one that is tested.
func TestDeliveryShowsTheReader(t *testing.T) {
	document, err := os.ReadFile("../../docs/DELIVERY.md")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.ReadFile("../../scripts/clients/fold.py")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```python\n"+string(reader)+"```\n") {
		t.Error("docs/DELIVERY.md and scripts/clients/fold.py differ: copy the program into the document")
	}
}
