package subprocess

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes this test binary a child.
const childVariable = "SUBPROCESS_TEST_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVariable); kind != "" {
		os.Exit(childMain(kind))
	}
	goleak.VerifyTestMain(m)
}
