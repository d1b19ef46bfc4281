# Every target shares one build: the release profile in one folder.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/sluice/target
SLUICE := $(CARGO_TARGET_DIR)/release/sluice
DEMO_STATE ?= $(HOME)/.cache/sluice/demo

.PHONY: build demo test bench lint clean

# The whole workspace: cargo unifies features over the packages it builds, so
# that one package alone would compile DataFusion a second time.
build:
	cargo build --release --workspace

# Builds and starts the example shop on the data that ships with it, and prints
# the addresses. Ctrl-C ends it.
demo: build
	$(SLUICE) run examples/online-retail --state $(DEMO_STATE)

# Every test, with what it needs.
test:
	scripts/install-test-tools
	cargo test --release --workspace

# Sluice beside DuckDB on the UCI Online Retail data (SLUICE_DATA).
bench: build
	bench/online-retail/run

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

clean:
	cargo clean
	rm -rf $(DEMO_STATE)
