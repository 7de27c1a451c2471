# The commands that matter: `make demo` and `make test`. Everything else is for those who build it.

CARGO ?= cargo
VENV := target/venv
ASYNCAPI := target/asyncapi/package/schemas/3.0.0.json

.PHONY: demo test test-faults schedules bench bench-api bench-flat bench-kafka bench-stores fuzz soak lint deny build

build:
	$(CARGO) build --locked --release -p api

# The main job on an example: import, record, ask, fill in, verify, tamper, serve.
demo: build
	./examples/demo.sh

# Every test. The whole product is tested on the real binary, so that is built first.
test: $(VENV)/ready $(ASYNCAPI)
	@command -v node >/dev/null || { echo 'node is missing; type: apt-get install nodejs (version 18 or newer)' >&2; exit 1; }
	@command -v chromium >/dev/null || { echo 'chromium is missing; type: apt-get install --no-install-recommends chromium' >&2; exit 1; }
	@command -v java >/dev/null || { echo 'Java is missing; type: apt-get install openjdk-17-jre-headless' >&2; exit 1; }
	@command -v mvn >/dev/null || { echo 'Maven is missing; type: apt-get install --no-install-recommends maven' >&2; exit 1; }
	@command -v kcat >/dev/null || { echo 'kcat is missing; type: apt-get install --no-install-recommends kcat' >&2; exit 1; }
	$(CARGO) build --locked -p api
	PYTHON=$(CURDIR)/$(VENV)/bin/python ASYNCAPI=$(CURDIR)/$(ASYNCAPI) $(CARGO) test --locked --workspace -- --nocapture

# A ledger on Kafka while brokers, networks and processes fail, each story for so long: docs/FAULTS.md. Their seed is
# printed; FAULTS_SEED=N breaks the same things again.
FAULTS_SECONDS ?= 120
test-faults:
	FAULTS_SECONDS=$(FAULTS_SECONDS) $(CARGO) test --locked -p kafka-faults --test it -- --nocapture

# The orders in which the threads before the writer may run, each test with so many schedules of two
# kinds: `make schedules SCHEDULES=1000000`. Its seeds are printed; SCHEDULES_SEED=N tries them again.
SCHEDULES ?= 2000
schedules:
	SCHEDULES=$(SCHEDULES) $(CARGO) test --locked -p ledger --features shuttle --test schedules -- --nocapture

# Prints one line for each measure: `bench NAME VALUE UNIT baseline VALUE ratio R target >= T`.
bench:
	$(CARGO) bench --locked -p ledger -p projector

# Whether recording stays as fast up to ten million ids (4 GB of disk, minutes).
bench-flat:
	$(CARGO) bench --locked -p ledger --bench flat -- flat

# The same for the service under load: the real binary over a million events, thousands of subscribers.
bench-api:
	$(CARGO) bench --locked -p api --bench load

# The ledger on Apache Kafka beside a bare producer and consumer, on one broker that it starts: minutes.
bench-kafka:
	$(CARGO) bench --locked -p ledger --bench kafka --bench kafka_copy
	$(CARGO) bench --locked -p api --bench kafka

# Any bytes for the frame decoder, and any files for a log's directory: so many seconds each.
FUZZ_SECONDS ?= 3600
fuzz:
	CARGO=$(CARGO) ledger/fuzz/run.sh $(FUZZ_SECONDS)

# The ledger beside sled, redb, fjall, SQLite and PostgreSQL: a quarter of an hour and 5 GB in /var/tmp.
# `make bench-stores ARGS="--sizes 10000 --stores ledger,redb"` is shorter.
bench-stores:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { echo 'PostgreSQL is missing; type: apt-get install postgresql' >&2; exit 1; }
	@command -v strace >/dev/null || { echo 'strace is missing; type: apt-get install strace' >&2; exit 1; }
	cd tests/stores && $(CARGO) run --locked --release -- $(ARGS)

# All of what `make test` only samples, for hours: kills, flipped bits, a failing disk, schedules, fuzzing.
soak:
	.ci/soak

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p ledger --features shuttle --test schedules -- -D warnings

deny:
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing; type: cargo install cargo-deny --version 0.20.2 --locked' >&2; exit 1; }
	cargo-deny --offline check bans licenses sources

$(VENV)/ready: tests/requirements.txt
	@command -v python3 >/dev/null || { echo 'python3 is missing; type: apt-get install python3 python3-venv' >&2; exit 1; }
	python3 -m venv $(VENV) || { echo 'python3-venv is missing; type: apt-get install python3-venv' >&2; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

# AsyncAPI's own schema, 400 KB, to the byte.
ASYNCAPI_SHA256 := f0a84ae94acceb9f91da8624a8def0e080055953166ce212dd8f4b3ed9b13f06
$(ASYNCAPI):
	@command -v npm >/dev/null || { echo 'npm is missing; type: apt-get install --no-install-recommends npm' >&2; exit 1; }
	mkdir -p target/asyncapi
	cd target/asyncapi && npm pack --silent @asyncapi/specs@6.8.1 && tar -xzmf asyncapi-specs-6.8.1.tgz package/schemas/3.0.0.json
	echo '$(ASYNCAPI_SHA256)  $@' | sha256sum --check --quiet || { rm -f $@; exit 1; }
