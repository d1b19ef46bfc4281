# Every target shares one build: the release profile in one folder.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/sluice/target
SLUICE := $(CARGO_TARGET_DIR)/release/sluice
DEMO_STATE ?= $(HOME)/.cache/sluice/demo

.PHONY: build demo test bench lint clean

build:
	cargo build --release -p sluice

# Builds and starts the example shop on the data that ships with it, and prints
# the addresses. Ctrl-C ends it.
demo: build
	$(SLUICE) run examples/online-retail --state $(DEMO_STATE)

# Every test, with what it needs.
test:
	scripts/install-test-tools
	cargo test --release --workspace

bench: build
	bench/online-retail.sh

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

clean:
	cargo clean
	rm -rf $(DEMO_STATE)
