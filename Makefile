# One build profile and one target directory serve everything: demo, tests and
# benchmarks share the compiled dependencies.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice/target
export CARGO_TARGET_DIR

.PHONY: test lint clean

# Always the whole workspace: cargo unifies features over the packages it
# builds, so that a single package would compile DataFusion a second time.
test:
	cargo test --release --workspace

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

clean:
	cargo clean
