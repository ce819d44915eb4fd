# The recipes of every day; `just` lists them.

_list:
    @just --list

# Run all four roles with the list that comes with the project
run *args:
    cargo run --release -- serve --import packaging/scanners.txt {{ args }}

# Everything that must pass
test:
    sh tests/run

# One benchmark: changes, collect, dnsbl, engine, feed, gateway, http, lists, overload, runs, set, start, tables
bench name *args:
    cargo bench --bench {{ name }} -- {{ args }}

fmt:
    cargo fmt

lint:
    cargo fmt --check
    cargo clippy --all-targets --locked --features otlp -- -D warnings
    cargo deny check

# One fuzz target: address, auto, plain, csv, tsv, json, ndjson, gzip, zip, xlsx, xls, html_list, grid, dns. Books may take
# more memory than there is, and end the process that reads them then: for xls and xlsx add -fork=1 -ignore_ooms=1
fuzz target seconds="60" *flags:
    cargo +nightly fuzz run {{ target }} -- -max_total_time={{ seconds }} {{ flags }}
