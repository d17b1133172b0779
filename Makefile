# What a person or a machine may ask of this tree. `make` alone prints the list.

SHELL         := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO        ?= go
JOBS      ?= 2
FUZZTIME  ?= 20s
FUZZ      ?= .
BENCH     ?= .
COUNT     ?= 1
PKGS      ?= ./...

# JOBS is how many things may be built or tested at once; build.sh and tools.sh
# read it too.
export JOBS

tools := .tools/bin

include tools.env

# $(call need,TOOL,VERSION) stops with one line when `make tools` has not
# fetched it at that version.
need = @test -x $(tools)/$(1) && grep -qsF -- '$(2)' .tools/stamps/$(1) || \
	{ echo 'make $@: $(1) $(2) is missing: run `make tools`' >&2; exit 1; }

# $(call list,PREFIX) prints "package function" for each test function whose
# name starts with the prefix, and fails when there is none.
list = $(GO) test -p $(JOBS) -list '^$(1)' $(PKGS) | awk '\
	/^$(1)/ { names[++n] = $$1; next } \
	$$1 == "ok" { for (i = 1; i <= n; i++) { print $$2, names[i]; total++ } n = 0; next } \
	$$1 == "FAIL" { print > "/dev/stderr" } \
	END { if (!total) { print "make $@: no $(1) function in $(PKGS)" > "/dev/stderr"; exit 1 } }'

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  JOBS=$(JOBS) things at once; PKGS=./... for test, race, fuzz and bench'

##@ Build

.PHONY: wasm
wasm: ## Build wasm/policy.wasm and wasm/lineage.wasm
	@./build.sh

.PHONY: tools
tools: ## Fetch the tools that tools.env pins into .tools/
	@./tools.sh

.PHONY: clean
clean: ## Remove what `make wasm` built (the tools stay; they are in .tools/)
	rm -rf wasm/*.wasm wasm/SHA256SUMS .wasm.new.*

##@ Test

.PHONY: test
test: wasm ## Test everything that needs Go alone: natively and as .wasm
	$(GO) test -p $(JOBS) $(PKGS)

.PHONY: race
race: wasm ## The same under the race detector (needs a C compiler)
	$(GO) test -race -p $(JOBS) $(PKGS)

.PHONY: e2e
e2e: wasm ## Test on a real Envoy and real services (after `make tools`)
	$(call need,envoy,$(ENVOY_VERSION))
	$(call need,moto_server,$(MOTO_VERSION))
	$(call need,redis-server,$(REDIS_VERSION))
	$(GO) test -p 1 -count=1 -timeout 20m -tags e2e ./test/e2e/...

.PHONY: fuzz
fuzz: wasm ## Run each fuzz test for FUZZTIME=20s; FUZZ=REGEXP and PKGS= choose
	@set -euo pipefail; \
	found=$$($(call list,Fuzz)); \
	found=$$(grep -E ' .*($(FUZZ))' <<<"$$found") || { echo 'make $@: no fuzz test matches $(FUZZ)' >&2; exit 1; }; \
	while read -r package name; do \
		echo "$$package $$name"; \
		$(GO) test -p $(JOBS) -parallel $(JOBS) -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done <<<"$$found"

.PHONY: bench
bench: wasm ## Run the benchmarks; BENCH=REGEXP and PKGS= choose, COUNT=1 repeats
	@set -euo pipefail; \
	found=$$($(call list,Benchmark)); \
	packages=$$(cut -d ' ' -f 1 <<<"$$found" | sort -u); \
	$(GO) test -p $(JOBS) -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $$packages

.PHONY: bench-envoy
bench-envoy: wasm ## Measure the filter in a real Envoy (after `make tools`)
	$(call need,envoy,$(ENVOY_VERSION))
	$(GO) run -p $(JOBS) -tags e2e ./test/benchenvoy

##@ Check

.PHONY: check
check: check-format check-tidy check-wasm vet lint check-deps check-generated ## All that must hold before a change goes in, besides the tests

.PHONY: fmt
fmt: ## Format the Go files
	$(call need,gofumpt,$(GOFUMPT_VERSION))
	$(tools)/gofumpt -w .

.PHONY: lint
lint: ## Run golangci-lint
	$(call need,golangci-lint,$(GOLANGCI_LINT_VERSION))
	$(tools)/golangci-lint run -j $(JOBS) ./...

.PHONY: vet
vet: ## Run go vet over each way in which the tree is built
	$(GO) vet -p $(JOBS) ./...
	$(GO) vet -p $(JOBS) -tags e2e ./test/...
	GOOS=wasip1 GOARCH=wasm $(GO) vet -p $(JOBS) -tags force64bit ./guest/...

.PHONY: check-format
check-format: ## Fail when `make fmt` would change a file
	$(call need,gofumpt,$(GOFUMPT_VERSION))
	@files=$$($(tools)/gofumpt -l .) || exit 1; \
	test -z "$$files" || { printf 'make check-format: run `make fmt` for:\n%s\n' "$$files" >&2; exit 1; }

.PHONY: check-tidy
check-tidy: ## Fail when `go mod tidy` would change go.mod or go.sum
	$(GO) mod tidy -diff

.PHONY: check-wasm
check-wasm: ## Build the guests twice: the same bytes, small enough for Envoy
	@./build.sh --check

.PHONY: check-deps
check-deps: ## Test the dependency rules
	$(GO) test -p $(JOBS) -count=1 ./test/deps/...

.PHONY: check-generated
check-generated: ## Fail when `go generate` changes a file
	@set -euo pipefail; \
	state() { git status --porcelain --untracked-files=all && git diff; }; \
	before=$$(state); \
	$(GO) generate ./...; \
	after=$$(state); \
	test "$$before" = "$$after" || { \
		echo 'make check-generated: `go generate ./...` changed these lines; commit what it wrote:' >&2; \
		diff <(echo "$$before") <(echo "$$after") >&2; exit 1; }

##@ Show

.PHONY: demo
demo: wasm ## Show a lineage from signing to refusal, with Go alone
	$(GO) run -p $(JOBS) ./cmd/kest demo

.PHONY: demo-envoy
demo-envoy: wasm ## Show the same across real Envoys (after `make tools`)
	$(call need,envoy,$(ENVOY_VERSION))
	$(GO) run -p $(JOBS) ./examples/envoy
