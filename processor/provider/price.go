package provider

import (
	_ "embed"
	"fmt"
	"math/bits"
	"regexp"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/schemas"
)

// builtIn is the built-in price list, made by scripts/prices. It stands under the MIT license:
// prices.LICENSE.
//
//go:embed prices.json
var builtIn []byte

// price is what a model's tokens cost, in picodollars each. What is nil is not known.
type price struct {
	Input        *int64 `json:"in"`
	CacheRead    *int64 `json:"read"`
	CacheWrite   *int64 `json:"write"`
	CacheWrite1h *int64 `json:"write_1h"`
	Output       *int64 `json:"out"`
	Reasoning    *int64 `json:"reasoning"`
	// Above are the prices of a whole request that has more input tokens than that.
	Above map[string]*price `json:"above"`
	// Tiers are those of the provider's service tiers: flex, priority, batch.
	Tiers     map[string]*price `json:"tiers"`
	MaxOutput int64             `json:"max_out"`
}

// Prices are what models cost: the built-in list, and over it what an installation says.
type Prices struct{ models map[string]*price }

// NewPrices reads the built-in list and puts own prices, by "provider/model", over it.
func NewPrices(own map[string]config.Price) (*Prices, error) {
	p := &Prices{models: map[string]*price{}}
	if err := json.Unmarshal(builtIn, &p.models); err != nil {
		return nil, fmt.Errorf("read the built-in price list: %w", err)
	}
	for name, o := range own {
		made := &price{
			Input: perToken(o.Input), CacheRead: perToken(o.CacheRead), CacheWrite: perToken(o.CacheWrite),
			CacheWrite1h: perToken(o.CacheWrite1h), Output: perToken(o.Output),
		}
		for _, above := range o.Above {
			if made.Above == nil {
				made.Above = map[string]*price{}
			}
			made.Above[strconv.FormatInt(above.Tokens, 10)] = &price{
				Input: perToken(above.Input), CacheRead: perToken(above.CacheRead), CacheWrite: perToken(above.CacheWrite),
				CacheWrite1h: perToken(above.CacheWrite1h), Output: perToken(above.Output),
			}
		}
		if before := p.models[name]; before != nil {
			made.MaxOutput = before.MaxOutput
		}
		p.models[name] = made
	}
	return p, nil
}

// perToken is a price of a million tokens for one, rounded to the picodollar.
func perToken(perMillion *config.Money) *int64 {
	if perMillion == nil {
		return nil
	}
	one := (int64(*perMillion) + 500_000) / 1_000_000
	return &one
}

// snapshot is the end of a model's name that tells its version.
var snapshot = regexp.MustCompile(`(-[0-9]{4}-[0-9]{2}-[0-9]{2}|-[0-9]{8}|@[0-9a-z-]+|-latest)$`)

// of is a model's price; a snapshot that is not listed costs what the model does. Nil if it is not known.
func (p *Prices) of(provider, model string) *price {
	if found := p.models[provider+"/"+model]; found != nil {
		return found
	}
	if at := snapshot.FindStringIndex(model); at != nil {
		return p.models[provider+"/"+model[:at[0]]]
	}
	return nil
}

func (p *Prices) known(t target) bool { return p.of(t.provider, t.model) != nil }

func (p *Prices) maxOutput(t target) int64 {
	if found := p.of(t.provider, t.model); found != nil {
		return found.MaxOutput
	}
	return 0
}

// Provider is the one that a model of the list is asked of, "" if it is not known. Vertex has models of others too:
// those are asked of their makers.
func (p *Prices) Provider(model string) string {
	for _, provider := range []string{"openai", "anthropic", "xai", "vertex"} {
		if p.of(provider, model) != nil {
			return provider
		}
	}
	return ""
}

// Cost is what a usage costs, in picodollars; nil if that is not known. Input and output tokens include everything:
//
//	(input - read - write) * p + read * p_read + write_5m * p_write + write_1h * p_write_1h + output * p_out
//
// A price of the cache that is missing is that of the input, one of reasoning that of the output; an explicit 0 stays
// 0. A price above a threshold is for the whole request.
func (p *Prices) Cost(provider, model string, u schemas.Usage) *int64 {
	listed := p.of(provider, model)
	if listed == nil {
		return nil
	}
	rates := listed.rates(u)
	read := min(u.CachedTokens, u.InputTokens)
	write := min(u.CacheWriteTokens, u.InputTokens-read)
	hour := min(u.CacheWrite1hTokens, write)
	reasoning := min(u.ReasoningTokens, u.OutputTokens)
	var total int64
	for _, part := range []struct {
		tokens int64
		price  *int64
	}{
		{u.InputTokens - read - write, rates.Input},
		{read, first(rates.CacheRead, rates.Input)},
		{write - hour, first(rates.CacheWrite, rates.Input)},
		{hour, first(rates.CacheWrite1h, rates.CacheWrite, rates.Input)},
		{u.OutputTokens - reasoning, rates.Output},
		{reasoning, first(rates.Reasoning, rates.Output)},
	} {
		if part.tokens <= 0 {
			continue
		}
		if part.price == nil {
			return nil
		}
		high, low := bits.Mul64(uint64(part.tokens), uint64(*part.price))
		sum := total + int64(low)
		if high > 0 || int64(low) < 0 || sum < total {
			return nil // more than there is money: the usage is not to be believed
		}
		total = sum
	}
	return &total
}

// rates are the prices of a request: those of its tier, and of the highest threshold that its input passes.
func (p *price) rates(u schemas.Usage) price {
	rates := *p
	if tier := p.Tiers[u.Tier]; tier != nil {
		rates.over(tier)
		rates.Above = p.Above
		if tier.Above != nil {
			rates.Above = tier.Above
		}
	}
	var passed int64 = -1
	var above *price
	for text, other := range rates.Above {
		if tokens, err := strconv.ParseInt(text, 10, 64); err == nil && u.InputTokens > tokens && tokens > passed {
			passed, above = tokens, other
		}
	}
	if above != nil {
		rates.over(above)
	}
	return rates
}

// over puts the prices that another has in the place of these. Reasoning is output unless the other says more.
func (p *price) over(o *price) {
	if o.Output != nil {
		p.Reasoning = nil
	}
	p.Input, p.Output = first(o.Input, p.Input), first(o.Output, p.Output)
	p.CacheRead, p.CacheWrite = first(o.CacheRead, p.CacheRead), first(o.CacheWrite, p.CacheWrite)
	p.CacheWrite1h, p.Reasoning = first(o.CacheWrite1h, p.CacheWrite1h), first(o.Reasoning, p.Reasoning)
}

func first(prices ...*int64) *int64 {
	for _, p := range prices {
		if p != nil {
			return p
		}
	}
	return nil
}
