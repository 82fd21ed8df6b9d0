# Everyday commands. `make` alone explains them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run test conformance check bench tools need-cargo need-cc

# Where rustup and `cargo install` put things, for shells that do not look there.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY_VERSION := 0.20.2

help: ## This page
	@echo "make run          build Vigia and start it (vigia up)"
	@echo "                  DATA=directory  recorded market data; SPEED=60  times real time; SEED=7  a made-up market"
	@echo "                  ARGS='...'      anything else that 'vigia up --help' shows"
	@echo "make test         all tests"
	@echo "make conformance  the exchange simulator against ccxt and the exchange's official SDK (Python 3.11, PyPI)"
	@echo "make check        format, lints, licences, sources, advisories"
	@echo "make bench        benchmarks, in release"
	@echo "make tools        install what 'make check' needs: clippy, rustfmt, cargo-deny $(DENY_VERSION)"

# The service takes the place of the shell, so Ctrl-C reaches it directly.
run: need-cargo need-cc ## Build and start
	@mkdir -p $(TARGET); log=$(TARGET)/build.log; echo "Building Vigia; the first time takes minutes."; \
	if ! cargo build --release --locked 2>&1 | tee "$$log" | { crates=0; while IFS= read -r line; do \
		case "$$line" in *Compiling*) crates=$$((crates + 1)); \
			if [ -t 1 ]; then printf '\r  %d crates compiled' "$$crates"; \
			elif [ $$((crates % 50)) = 0 ]; then echo "  $$crates crates compiled"; fi;; esac; \
		done; if [ "$$crates" -gt 0 ] && [ -t 1 ]; then echo; fi; }; then \
		grep -vE '^ +(Compiling|Downloading|Downloaded) ' "$$log" >&2; \
		echo "The build failed; all of it is in $$log" >&2; exit 1; fi
	@exec $(TARGET)/release/vigia up $(if $(DATA),--data "$(DATA)") $(if $(SPEED),--speed "$(SPEED)") $(if $(SEED),--seed "$(SEED)") $(if $(EXCHANGE),--exchange "$(EXCHANGE)") $(ARGS)

test: need-cargo need-cc ## All tests
	cargo test --workspace --locked

conformance: need-cargo need-cc ## The simulator against clients that others wrote
	scripts/conformance $(ARGS)

check: tools need-cc ## Format, lints, licences, sources, advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/advisories
	cargo fetch --locked --quiet
	cargo deny --offline --locked check

bench: need-cargo need-cc ## Benchmarks
	cargo build --release --locked -p vigia -p bench
	$(TARGET)/release/bench $(ARGS)

tools: need-cargo ## What `make check` needs
	@for part in fmt clippy; do cargo $$part --version > /dev/null 2>&1 || { \
		command -v rustup > /dev/null || { \
			echo "cargo $$part is missing. Remedy: apt-get install rustfmt rust-clippy, or use rustup" >&2; exit 1; }; \
		rustup component add $$( [ $$part = fmt ] && echo rustfmt || echo clippy ); }; done
	@command -v cargo-deny > /dev/null || cargo install cargo-deny --locked --version $(DENY_VERSION)

need-cargo:
	@command -v cargo > /dev/null || { echo "cargo is missing. Remedy: install Rust (https://rustup.rs)" >&2; exit 1; }

# SQLite, ring and zstd are C.
need-cc:
	@command -v cc > /dev/null || { echo "A C compiler (cc) is missing. Remedy: apt-get install build-essential" >&2; exit 1; }
