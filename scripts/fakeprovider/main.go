// Fakeprovider is a local server that speaks the protocols of AI providers, for
// development and end-to-end tests; see package providertest for how it is scripted.
// It prints "ready http://127.0.0.1:PORT" once it listens, and ends on SIGTERM.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/aiecs/tasklane/processor/provider/providertest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	flag.Parse()
	if err := run(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "fakeprovider:", err)
		os.Exit(1)
	}
}

func run(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Printf("ready http://%s\n", listener.Addr())
	return providertest.New().Run(ctx, listener)
}
