# Every target shares one build: the release profile in one folder.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/sluice/target
SLUICE := $(CARGO_TARGET_DIR)/release/sluice
DEMO_STATE ?= $(HOME)/.cache/sluice/demo

.PHONY: build web demo test bench bench-data bench-engine lint clean

# The whole workspace: cargo unifies features over the packages it builds, so
# that one package alone would compile DataFusion a second time.
build: web
	cargo build --release --workspace

# The page, which becomes part of the program.
web:
	scripts/build-web

# Builds and starts a live shop, and prints the addresses. Ctrl-C ends it, and
# the next start goes on where it was.
demo: build
	$(SLUICE) demo --state $(DEMO_STATE) $(DEMO_ARGS)

# Every test, with what it needs.
test: web
	scripts/install-test-tools
	cargo test --release --workspace
	scripts/test-web

# Sluice beside DuckDB on the UCI Online Retail data: SLUICE_DATA=DIR, with its
# files in DIR/online-retail.
bench: bench-data build
	bench/online-retail/run

# Without data it is said before the build.
bench-data:
	@[ -n "$$SLUICE_DATA" ] || bench/online-retail/run

bench-engine: build
	bench/engine/run

lint: web
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

clean:
	cargo clean
	rm -rf web/dist web/node_modules
	rm -rf $(DEMO_STATE)
