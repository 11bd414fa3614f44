// Command prices makes processor/provider/prices.json, the built-in price list, from LiteLLM's
// model_prices_and_context_window.json (https://github.com/BerriAI/litellm, MIT):
//
//	go run ./scripts/prices model_prices_and_context_window.json processor/provider/prices.json
//
// It takes the models of our providers that are priced by tokens. All prices are in picodollars for a token.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: prices model_prices_and_context_window.json prices.json")
		os.Exit(2)
	}
	if err := convert(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "prices:", err)
		os.Exit(1)
	}
}

func convert(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read LiteLLM's list: %w", err)
	}
	list, err := pricesOf(b)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, list, 0o644); err != nil {
		return fmt.Errorf("write the price list: %w", err)
	}
	return nil
}

// price is a model's, as package provider reads it.
type price struct {
	Input        *int64 `json:"in,omitzero"`
	CacheRead    *int64 `json:"read,omitzero"`
	CacheWrite   *int64 `json:"write,omitzero"`
	CacheWrite1h *int64 `json:"write_1h,omitzero"`
	Output       *int64 `json:"out,omitzero"`
	Reasoning    *int64 `json:"reasoning,omitzero"`
	// Above are the prices of longer requests, by their input tokens; Tiers those of service tiers.
	Above     map[string]*price `json:"above,omitzero"`
	Tiers     map[string]*price `json:"tiers,omitzero"`
	MaxOutput int64             `json:"max_out,omitzero"`
}

// pricesOf is our list, a model a line.
func pricesOf(b []byte) ([]byte, error) {
	var all map[string]jsontext.Value
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read LiteLLM's list: %w", err)
	}
	ours := map[string]*price{}
	for name, raw := range all {
		if raw.Kind() != '{' {
			continue
		}
		members := map[string]jsontext.Value{}
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		provider, ok := providerOf(text(members["litellm_provider"]))
		if !ok || name == "sample_spec" {
			continue
		}
		p, err := priceOf(members)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		key := provider + "/" + modelOf(provider, name)
		// A model that stands there twice is the one without a prefix.
		if p.Input != nil && (ours[key] == nil || !strings.Contains(name, "/")) {
			ours[key] = p
		}
	}
	var out bytes.Buffer
	out.WriteString("{\n")
	names := make([]string, 0, len(ours))
	for name := range ours {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	for i, name := range names {
		line, err := json.Marshal(ours[name], json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(&out, "%q: %s%s\n", name, line, end)
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

// providerOf is which of our providers a model of LiteLLM's belongs to. Their gemini is Google's API without Vertex.
func providerOf(name string) (string, bool) {
	switch {
	case name == "openai", name == "text-completion-openai":
		return "openai", true
	case name == "xai", name == "anthropic":
		return name, true
	case name == "vertex_ai", strings.HasPrefix(name, "vertex_ai-"):
		return "vertex", true
	}
	return "", false
}

func modelOf(provider, name string) string {
	for _, prefix := range []string{provider + "/", "vertex_ai/"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

var priceName = regexp.MustCompile(`^(input_cost_per_token|output_cost_per_token|output_cost_per_reasoning_token|` +
	`cache_read_input_token_cost|cache_creation_input_token_cost|cache_creation_input_token_cost_above_1hr)` +
	`(?:_above_([0-9]+)k_tokens)?(?:_(flex|priority|batches))?$`)

func priceOf(members map[string]jsontext.Value) (*price, error) {
	p := &price{}
	for name, value := range members {
		if name == "max_output_tokens" {
			p.MaxOutput, _ = strconv.ParseInt(string(value), 10, 64)
		}
		parts := priceName.FindStringSubmatch(name)
		if parts == nil || value.Kind() != '0' {
			continue
		}
		cost, err := picodollars(string(value))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		of := p
		if parts[3] != "" {
			of = of.under(&of.Tiers, strings.TrimSuffix(parts[3], "es"))
		}
		if parts[2] != "" {
			of = of.under(&of.Above, parts[2]+"000")
		}
		switch parts[1] {
		case "input_cost_per_token":
			of.Input = &cost
		case "output_cost_per_token":
			of.Output = &cost
		case "output_cost_per_reasoning_token":
			of.Reasoning = &cost
		case "cache_read_input_token_cost":
			of.CacheRead = &cost
		case "cache_creation_input_token_cost":
			of.CacheWrite = &cost
		default:
			of.CacheWrite1h = &cost
		}
	}
	return p, nil
}

func (p *price) under(of *map[string]*price, name string) *price {
	if *of == nil {
		*of = map[string]*price{}
	}
	if (*of)[name] == nil {
		(*of)[name] = &price{}
	}
	return (*of)[name]
}

// picodollars is a price in dollars as it is written, to the picodollar.
func picodollars(dollars string) (int64, error) {
	exact, ok := new(big.Rat).SetString(dollars)
	if !ok || exact.Sign() < 0 {
		return 0, fmt.Errorf("%s is no price", dollars)
	}
	exact.Mul(exact, big.NewRat(schemas.Picodollars, 1))
	exact.Add(exact, big.NewRat(1, 2)) // rounded
	whole := new(big.Int).Quo(exact.Num(), exact.Denom())
	if !whole.IsInt64() {
		return 0, fmt.Errorf("%s is too much", dollars)
	}
	return whole.Int64(), nil
}

func text(v jsontext.Value) (s string) {
	if v.Kind() == '"' {
		_ = json.Unmarshal(v, &s) // stays empty
	}
	return s
}
