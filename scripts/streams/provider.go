package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// serveProvider is the model's server, in a process of its own. It prints a line once it serves, and ends with ctx.
func serveProvider(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println("ready")
	return providertest.New().Run(ctx, listener)
}

// script makes the model repeat what it is asked, word by word, at the rate.
func (c *config) script(ctx context.Context, provider string) error {
	script, err := json.Marshal(map[string]any{"answers": []providertest.Answer{{
		PieceDelayMS: 1000 / c.rate, FirstDelayMS: 1000 / c.rate, Times: -1,
		Usage: &providertest.Usage{Input: 1, Output: int64(c.words())},
	}}})
	if err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	response, err := post(ctx, http.DefaultClient, provider+"/fake/script", script)
	if err != nil {
		return fmt.Errorf("script the model: %w", err)
	}
	return response.Body.Close()
}

// post sends JSON and wants 200.
func post(ctx context.Context, client *http.Client, url string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	return do(client, request)
}

var errUnavailable = errors.New("not now")

// do wants 200.
func do(client *http.Client, request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		var said [1000]byte
		n, _ := response.Body.Read(said[:])
		err := fmt.Errorf("%s %s is answered %s: %s", request.Method, request.URL, response.Status, said[:n])
		if response.StatusCode == http.StatusServiceUnavailable {
			err = fmt.Errorf("%w: %w", errUnavailable, err)
		}
		return nil, err
	}
	return response, nil
}
