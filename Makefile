# Tasklane: everything a developer runs. `make help` lists it.
# Only Go and make are needed, but for the targets that say otherwise.

GO     ?= go
CACHE  ?= $(or $(TASKLANE_CACHE),$(HOME)/.cache/tasklane)
LINTER  = $(CACHE)/golangci-lint-$(LINTER_VERSION)/golangci-lint
LINTER_VERSION = v2.15.0

# One kind of build for the tests, the programs and the image (deploy/Dockerfile): what is tested is what is shipped, and
# each package is compiled once. Only the race detector needs C.
export CGO_ENABLED ?= 0
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

# The tests on Apache Kafka: what talks to a broker.
KAFKA_PACKAGES = ./internal/kafka/... ./internal/lane ./internal/taskview/... ./internal/control ./internal/webhooks ./processor ./producer ./notifier ./e2e

# The faults of the short chaos run.
CHAOS_SHORT = none,kill,zombie,drain,churn,broker-kill,lost-acks,lost-commits,resets,foreign-fence,forged-epochs,late-repeats,poison,clocks,exit,twice,unique,commit-ahead,broker-empty

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/tasklane
	$(GO) build -o bin/tasklane ./cmd/tasklane

.PHONY: run
run: build ## run everything on the embedded broker, until Ctrl-C
	bin/tasklane up

.PHONY: demo
demo: build ## run the demonstration: reviews in many languages, live
	bin/tasklane demo

.PHONY: test
test: ## run the tests
	$(GO) test -count=1 -timeout 15m ./...

.PHONY: test-race
test-race: ## run the tests with the race detector, the binary under test included (needs a C compiler)
	CGO_ENABLED=1 TASKLANE_E2E_RACE=1 $(GO) test -race -count=1 -timeout 25m ./...

.PHONY: test-kafka
test-kafka: ## run the tests on a real Apache Kafka (needs Java 17 and openssl; Maven the first time)
	scripts/kafka/test.sh -tags kafka $(KAFKA_PACKAGES)
	TASKLANE_KAFKA_SECURED=1 TASKLANE_TEST_FLAGS="-tags secured -run Secured" scripts/kafka/test.sh ./e2e

.PHONY: test-clients
test-clients: ## run the tests with kcat, Python, Java and Socket.IO clients, browsers and proxies, on both brokers (needs those)
	scripts/clients/setup.sh
	node --test client/browser/tasklane.test.mjs examples/browser/watch.test.mjs
	node --test scripts/clients/declaration.test.mjs
	scripts/clients/python.sh
	$(GO) test -count=1 -timeout 5m -tags clients -run Moto ./internal/artifact
	$(GO) test -count=1 -timeout 10m -tags clients -run ForeignClients ./e2e
	TASKLANE_TEST_FLAGS="-tags clients -run ForeignClients" scripts/kafka/test.sh ./e2e

.PHONY: fuzz-guard
fuzz-guard: ## send ten million requests of all kinds to the embedded broker (some 25 minutes)
	TASKLANE_GUARD_REQUESTS=10000000 $(GO) test -count=1 -timeout 3h -v -run TestGuardTakesAnything ./internal/broker/guard

.PHONY: test-mutants
test-mutants: ## switch every rule of the protocol off and demand red tests
	$(GO) test -count=1 -timeout 15m -p 1 -tags mutants -run Mutants ./internal/fold ./internal/shard ./internal/runqueue

.PHONY: lint
lint: $(LINTER) ## run the linters
	$(LINTER) run ./...
	$(LINTER) run --build-tags clients,mutants,secured ./...
	cd scripts/fanout && $(LINTER) run ./...

$(LINTER):
	GOBIN=$(dir $@) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER_VERSION)

.PHONY: fmt
fmt: ## format the code
	gofmt -w $(shell git ls-files '*.go')

.PHONY: bench
bench: ## measure throughput and latency beside the ceiling, on the embedded broker and, with Java, on Apache Kafka
	scripts/bench/run.sh

.PHONY: bench-fanout
bench-fanout: ## measure the notifier beside the centrifuge library and bare gorilla/websocket; FANOUT_FLAGS="--rounds 5"
	cd scripts/fanout && $(GO) run . $(FANOUT_FLAGS)

.PHONY: bench-subprocess
bench-subprocess: ## measure tasks through one child beside the same lines through bare pipes
	$(GO) test -run '^$$' -bench RoundTrips -benchtime 100000x -count 3 ./processor/external/subprocess

.PHONY: bench-streams
bench-streams: build ## 1,000 streams of a model at once, read by clients that come and go, beside the model itself; STREAMS_FLAGS="-streams 200"
	$(GO) run ./scripts/streams $(STREAMS_FLAGS)

.PHONY: chaos
chaos: build ## real processes under faults, and a judge; CHAOS_FLAGS="-broker kafka -duration 1h -seed 7"
	$(GO) run ./scripts/chaos $(CHAOS_FLAGS)

.PHONY: chaos-short
chaos-short: build ## a short form, two to three minutes on each broker (needs Java 17; Maven the first time)
	$(GO) run ./scripts/chaos -broker embedded -duration 1m -faults $(CHAOS_SHORT) $(CHAOS_FLAGS)
	$(GO) run ./scripts/chaos -broker kafka -duration 1m -faults $(CHAOS_SHORT) $(CHAOS_FLAGS)

.PHONY: storm
storm: build ## 2,000 clients whose notifiers and broker are killed, and a reconciliation of what each got; STORM_FLAGS="-seed 7"
	$(GO) run ./scripts/storm -faults notifier-kill=10,notifier-stop=1,broker-kill=2,slow-readers=2,replay=1 $(STORM_FLAGS)
	$(GO) run ./scripts/storm -notifiers 2 -faults notifier-kill=5,move=5,broker-kill=1 $(STORM_FLAGS)

.PHONY: storm-short
storm-short: build ## a short form, less than a minute
	$(GO) run ./scripts/storm -clients 300 -notifiers 2 -history 10000 -replayers 4 -slow 4 -faults notifier-kill=3,move=1,slow-readers=1,replay=1 $(STORM_FLAGS)

.PHONY: outages
outages: ## 1,000 outages of the browser's client in Chromium, and what each watch got (installs Chromium on Debian)
	scripts/clients/setup.sh chromium
	TASKLANE_OUTAGES=1000 $(GO) test -count=1 -timeout 30m -tags clients -run ForeignClientsInChromium -v ./e2e

.PHONY: kafka-up
kafka-up: ## start an Apache Kafka without containers (NODES=1 or 3)
	scripts/kafka/up.sh $(or $(NODES),1)

.PHONY: kafka-down
kafka-down: ## stop it and remove its data
	scripts/kafka/down.sh --wipe
