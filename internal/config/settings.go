// Package config reads tasklane.yaml: which services, providers, models, limits, budgets
// and prices an installation has.
//
// [Parse] is strict. A key that is not known is refused with the nearest one that is, a
// value that is wrong with what to write instead, each with its file, line and column, and
// all of them at once. [Settings.Print] writes settings so that they can be read again,
// without secrets.
//
// The package knows no provider and no limit: what is done with the settings is for those
// who do it.
package config

import "time"

// Settings are the whole file. What is not given is zero.
type Settings struct {
	// Services are settings of services by "mode/name".
	Services map[string]Service `yaml:"services"`
	// Subprocesses are services that run in processes of their own, by "mode/name".
	Subprocesses map[string]Subprocess `yaml:"subprocesses"`
	// HTTPServices are services that are asked over HTTP, by "mode/name".
	HTTPServices map[string]HTTPService `yaml:"http_services"`
	// RemoteServices are services whose workers ask for their tasks, by "mode/name".
	RemoteServices map[string]RemoteService `yaml:"remote_services"`
	// Providers are where models are asked, by the name that their service has:
	// provider "openai" is the service chat/openai.
	Providers map[string]Provider `yaml:"providers"`
	// Models are names for models of providers, for tasks and the OpenAI API.
	Models  map[string]Model `yaml:"models"`
	Limits  []Limit          `yaml:"limits"`
	Budgets []Budget         `yaml:"budgets"`
	// Prices are by "provider/model", and win over the built-in list.
	Prices    map[string]Price `yaml:"prices"`
	Cache     Cache            `yaml:"cache"`
	Artifacts Artifacts        `yaml:"artifacts"`
}

// Service is how a service runs, for tasks that do not say so themselves.
type Service struct {
	// Enabled is whether the service is offered; true if nil.
	Enabled *bool `yaml:"enabled"`
	// Slots is how many of its lane's slots a task takes.
	Slots          int           `yaml:"slots"`
	SoftTimeLimit  time.Duration `yaml:"soft_time_limit"`
	TimeLimit      time.Duration `yaml:"time_limit"`
	HeartbeatLimit time.Duration `yaml:"heartbeat_limit"`
	Retry          Retry         `yaml:"retry"`
}

// Retry is how a service's tasks are retried.
type Retry struct {
	MaxAttempts int           `yaml:"max_attempts"`
	Backoff     time.Duration `yaml:"backoff"`
	MaxBackoff  time.Duration `yaml:"max_backoff"`
	Multiplier  float64       `yaml:"multiplier"`
}

// Types of providers: the protocol that is spoken with them.
const (
	TypeOpenAI    = "openai" // and whatever is compatible, by its base URL
	TypeXAI       = "xai"
	TypeAnthropic = "anthropic"
	TypeVertex    = "vertex"
)

// The two forms of OpenAI's API that complete can use.
const (
	APIResponses       = "responses"
	APIChatCompletions = "chat_completions"
)

// Provider is where models are asked.
type Provider struct {
	// Type is the protocol; the provider's name if that is one.
	Type string `yaml:"type"`
	// BaseURL is the SDK's own if empty.
	BaseURL string `yaml:"base_url"`
	APIKey  Secret `yaml:"api_key"`
	// Headers are sent with every request.
	Headers map[string]Secret `yaml:"headers"`
	// Organization and Project are OpenAI's; Project and Location those of Vertex.
	Organization string `yaml:"organization"`
	Project      string `yaml:"project"`
	Location     string `yaml:"location"`
	// API is the form of OpenAI's API that complete uses, APIResponses if empty.
	API string `yaml:"api"`
	// DefaultModel is asked when a task names none.
	DefaultModel string `yaml:"default_model"`
	// ConnectTimeout and IdleTimeout bound how long a connection takes to be made and how
	// long a provider may send nothing.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	IdleTimeout    time.Duration `yaml:"idle_timeout"`
	Breaker        Breaker       `yaml:"breaker"`
}

// Breaker says when a provider is left alone for a while.
type Breaker struct {
	// Failures is how many requests in a row have to fail.
	Failures int `yaml:"failures"`
	// Pause is how long it is left alone before one request tries it again.
	Pause time.Duration `yaml:"pause"`
}

// Model is what a model's name stands for.
type Model struct {
	// Provider is the provider that is asked.
	Provider string `yaml:"provider"`
	// Model is the provider's name for it; the alias if empty.
	Model string `yaml:"model"`
	// Service takes the OpenAI API's requests for the model, "mode/name"; that of the
	// provider if empty.
	Service string `yaml:"service"`
	// Fallback are aliases or "provider/model" that are asked in turn when this one fails.
	Fallback []string `yaml:"fallback"`
	// MaxOutputTokens is the most that the model answers.
	MaxOutputTokens int64 `yaml:"max_output_tokens"`
	// HedgeAfter asks a second time when nothing came for so long, and stops the slower; never if 0.
	HedgeAfter time.Duration `yaml:"hedge_after"`
}

// All stands in the place of a model or user for every one of them.
const All = "*"

// Limit is how much may be asked of models of a provider in a minute. What is over it
// waits.
type Limit struct {
	Provider string `yaml:"provider"`
	// Models share the limit; all models of the provider, each with a limit of its own, if
	// it is All alone, or nothing.
	Models []string `yaml:"models"`
	// User is whose tasks count: those of all users together if empty, of each by itself
	// if All.
	User string `yaml:"user"`
	// RPM, ITPM and OTPM are requests, input and output tokens a minute; 0 is no limit.
	RPM  int64 `yaml:"rpm"`
	ITPM int64 `yaml:"itpm"`
	OTPM int64 `yaml:"otpm"`
	// Shadow counts and lets everything pass.
	Shadow bool `yaml:"shadow"`
}

// Budget is how much may be spent in a day, UTC.
type Budget struct {
	// User is whose tasks count: those of all users together if empty, of each by itself
	// if All.
	User string `yaml:"user"`
	// Label is which tasks count, "name=value", or "name" for each value by itself; all
	// tasks if empty.
	Label string `yaml:"label"`
	// USDPerDay is how much.
	USDPerDay Money `yaml:"usd_per_day"`
	// Shadow counts and lets everything pass.
	Shadow bool `yaml:"shadow"`
}

// Price is what a model costs, in dollars for a million tokens. Members that are nil are
// not known: what they price costs what Input does, or what Output does.
type Price struct {
	Input        *Money `yaml:"input"`
	CacheRead    *Money `yaml:"cache_read"`
	CacheWrite   *Money `yaml:"cache_write"`
	CacheWrite1h *Money `yaml:"cache_write_1h"`
	Output       *Money `yaml:"output"`
	// Above are the prices of requests with more input tokens than so many, for the whole
	// request.
	Above []PriceAbove `yaml:"above"`
}

// PriceAbove is what requests cost that are longer than Tokens of input.
type PriceAbove struct {
	Tokens       int64  `yaml:"tokens"`
	Input        *Money `yaml:"input"`
	CacheRead    *Money `yaml:"cache_read"`
	CacheWrite   *Money `yaml:"cache_write"`
	CacheWrite1h *Money `yaml:"cache_write_1h"`
	Output       *Money `yaml:"output"`
}

// Cache bounds the cache of results, which tasks ask for one by one.
type Cache struct {
	MaxBytes Bytes `yaml:"max_bytes"`
	// MaxTTL is the longest that a task can have its result kept.
	MaxTTL time.Duration `yaml:"max_ttl"`
}

// Artifacts is where the files of tasks are kept.
type Artifacts struct {
	// Dir is a directory; DATA/artifacts if empty. Not with S3.
	Dir          string        `yaml:"dir"`
	MaxFileBytes Bytes         `yaml:"max_file_bytes"`
	MaxUserBytes Bytes         `yaml:"max_user_bytes"`
	MaxBytes     Bytes         `yaml:"max_bytes"`
	ExpireAfter  time.Duration `yaml:"expire_after"`
	S3           S3            `yaml:"s3"`
}

// S3 is a bucket of a store that speaks S3.
type S3 struct {
	// Endpoint is a URL: https://s3.eu-central-1.amazonaws.com.
	Endpoint  string `yaml:"endpoint"`
	Region    string `yaml:"region"`
	Bucket    string `yaml:"bucket"`
	Prefix    string `yaml:"prefix"`
	AccessKey Secret `yaml:"access_key"`
	SecretKey Secret `yaml:"secret_key"`
	// PathStyle puts the bucket into the path, as most stores but Amazon's want it.
	PathStyle bool `yaml:"path_style"`
}
