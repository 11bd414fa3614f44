// Command probe asks an HTTP address once and ends with 0 if it answers 200,
// with 1 if it does not, and with 2 if it was called wrongly. It is the health
// check of the container image, which has neither a shell nor curl.
//
//	probe http://127.0.0.1:8080/readyz
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// timeout is below the interval at which containers are usually checked, so
// that checks never pile up.
const timeout = 4 * time.Second

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) }

func run(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) != 1 || !strings.HasPrefix(args[0], "http://") {
		fmt.Fprintln(stderr, "probe: want one address such as http://127.0.0.1:8080/readyz")
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := ask(ctx, args[0]); err != nil {
		fmt.Fprintln(stderr, "probe:", err)
		return 1
	}
	return 0
}

// ask fails unless the address answers 200. What the server says about itself
// is part of the error: container engines show it to who inspects the check.
func ask(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	// A proxy named in the environment is not meant for a container's own ports.
	client := &http.Client{Transport: &http.Transport{Proxy: nil}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 500)) // the status is what counts
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, response.Status, strings.TrimSpace(string(said)))
	}
	return nil
}
