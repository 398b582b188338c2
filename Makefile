# SPDX-License-Identifier: Apache-2.0
# Flyball. `make help` lists the targets.

# ---- knobs ---------------------------------------------------------------------------------
CFLAGS   ?= -O2 -g
PREFIX   ?= /usr/local
DESTDIR  ?=
# release | asan | tsan | cov | fuzz: each has a folder of its own under build/
FLAVOUR  ?= release
# make's own CC is replaced: clang for the sanitizers, cc for the rest
ifeq ($(origin CC),default)
CC       := $(if $(filter asan tsan fuzz,$(FLAVOUR)),clang,cc)
endif
# DEV=1 makes warnings errors; CI sets it.
DEV      ?= 0
# V=1 shows the commands.
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

# ---- flavours ------------------------------------------------------------------------------
B        := build/$(FLAVOUR)
G        := build/gen
FLAVOUR_release :=
FLAVOUR_asan    := -DSIDE_SPARE_MOST=0 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAVOUR_tsan    := -DSIDE_SPARE_MOST=0 -fsanitize=thread
FLAVOUR_cov     := --coverage -O0
FLAVOUR_fuzz    := -DSIDE_SPARE_MOST=0 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS    := $(FLAVOUR_$(FLAVOUR))

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-format-nonliteral
WARN     += $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
ifeq ($(DEV),1)
WARN     += -Werror
endif
VERSION  := 0.1.0
BASE     := -std=gnu11 -DFLYBALL_VERSION='"$(VERSION)"' -I. -I$(G) -MMD -MP -D_GNU_SOURCE -fno-common $(WARN) $(FLAGS)

PC       := pkg-config
LIBS_meter   := $(shell $(PC) --libs jansson libbrotlidec libzstd zlib)
LIBS_store   := -llmdb $(shell $(PC) --libs libcrypto)
LIBS_sidecar := $(shell $(PC) --libs libevent_core libevent_extra libevent_pthreads yaml-0.1) -lpthread -ldl
LIBS_top     := $(shell $(PC) --libs ncursesw)
LIBS     := $(LIBS_meter) $(LIBS_store) $(LIBS_sidecar)

# ---- sources -------------------------------------------------------------------------------
SRC_meter    := $(wildcard meter/*.c)
SRC_governor := $(wildcard governor/*.c)
SRC_store    := $(wildcard store/*.c)
SRC_sidecar  := $(filter-out sidecar/main.c,$(wildcard sidecar/*.c))
SRC_cli      := $(filter-out cli/main.c,$(wildcard cli/*.c))
SRC_client   := shim/client.c shim/link.c shim/start.c shim/refusal.c shim/page.c
SRC_shim     := $(wildcard shim/*.c) $(wildcard shim/*.S)
objects       = $(patsubst %.S,$(B)/%.o,$(patsubst %.c,$(B)/%.o,$(1)))

ARCHIVES := $(B)/libcli.a $(B)/libsidecar.a $(B)/libstore.a $(B)/libgovernor.a $(B)/libmeter.a \
            $(B)/libclient.a

.PHONY: all help clean
all: $(B)/flyball $(B)/flyballd $(B)/libflyball.so

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(CFLAGS) $(CPPFLAGS) -c $< -o $@
# Every byte of every answer goes through the meter: a tenth faster.
ifeq ($(FLAVOUR),release)
$(B)/meter/%.o: CFLAGS += -O3
endif

# The shim lives in other people's processes: position-independent, everything hidden, no sanitizer
# in the shared object itself (a test host links the same sources for that).
$(B)/shim/%.o: BASE += -fPIC -fvisibility=hidden -ftls-model=initial-exec
$(B)/shim/%.o: shim/%.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(CFLAGS) -c $< -o $@

$(G)/price_rows.inc: prices/book.tsv prices/compile.awk
	@mkdir -p $(@D)
	LC_ALL=C awk -f prices/compile.awk prices/book.tsv > $@.tmp && mv $@.tmp $@
$(B)/meter/price_shipped.o: $(G)/price_rows.inc

# The public schemas of receipts, as text in the program.
$(G)/%.schema.inc: docs/receipts/%.schema.json
	@mkdir -p $(@D)
	sed 's/["\\]/\\&/g; s/.*/"&\\n"/' $< > $@.tmp && mv $@.tmp $@
$(B)/cli/receipt_schema.o: $(patsubst docs/receipts/%.json,$(G)/%.inc,$(wildcard docs/receipts/*.json))

$(B)/libmeter.a: $(call objects,$(SRC_meter))
$(B)/libgovernor.a: $(call objects,$(SRC_governor))
$(B)/libstore.a: $(call objects,$(SRC_store))
$(B)/libsidecar.a: $(call objects,$(SRC_sidecar))
$(B)/libcli.a: $(call objects,$(SRC_cli))
$(B)/libclient.a: $(call objects,$(SRC_client))
$(B)/libshim.a: $(call objects,$(SRC_shim))
$(B)/lib%.a:
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/flyball: $(B)/cli/main.o $(ARCHIVES)
	@echo "  $@"
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) $(LIBS_top) -o $@
$(B)/flyballd: $(B)/sidecar/main.o $(filter-out $(B)/libcli.a,$(ARCHIVES))
	@echo "  $@"
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
ifeq ($(FLAVOUR),release)
$(B)/libflyball.so: $(call objects,$(SRC_shim)) shim/exports.map
	@echo "  $@"
	$(Q)$(CC) -shared -Wl,--version-script=shim/exports.map -Wl,-z,defs -Wl,-z,noexecstack \
	  -Wl,-z,relro -Wl,--exclude-libs,ALL $(LDFLAGS) $(filter %.o,$^) -o $@
else
# A sanitizer cannot live in an object that is preloaded into programs without it: see $(B)/host.
$(B)/libflyball.so: FORCE
	@mkdir -p $(@D)
	$(Q)$(MAKE) -s FLAVOUR=release build/release/libflyball.so && cp build/release/libflyball.so $@
endif
.PHONY: FORCE
FORCE:

clean: ## remove build/
	rm -rf build

# ---- tests ---------------------------------------------------------------------------------
UNIT      := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
$(B)/tests/%: $(B)/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) $(LIBS_top) -lcmocka -o $@
$(B)/tests/test_strip: $(B)/shim/strip.o

RUNS      := $(UNIT:%=run-%)
.PHONY: test test-threads $(RUNS)
test: $(RUNS) ## the unit tests of this flavour
test-threads: $(patsubst tests/unit/%.c,run-$(B)/tests/%,$(shell grep -l pthread_create tests/unit/test_*.c))
$(RUNS): run-%: %
	@echo "== $<"; $<

# The rules: tests/scenarios, and tests/e2e/scenarios.test for those that need clients.
$(B)/scenarios: $(B)/tests/scenarios/player.o $(ARCHIVES)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# The shim's code in a program of its own, for the sanitizers.
$(B)/host: $(call objects,$(wildcard tests/host/*.c) $(filter %.c,$(SRC_shim)))
	@echo "  $@"
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(shell $(PC) --libs libcurl) -lpthread -o $@

.PHONY: host
host: all replay $(B)/host ## the test host of this flavour, against its own sidecar
	tests/host/run $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- the provider double: tests/replay -------------------------------------------------------
SRC_replay  := $(wildcard tests/replay/*.c)
LIBS_replay  = $(shell $(PC) --libs libevent_core libevent_extra libevent_openssl libssl libcrypto \
               libnghttp2 jansson)

.PHONY: replay replay-test
replay: $(B)/replay ## the provider double of this flavour
replay-test: $(B)/replay ## the double's own test
	tests/replay/selftest $(B)/replay
$(B)/replay: $(call objects,$(SRC_replay))
	@echo "  $@"
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS_replay) -o $@

# ---- attacking -----------------------------------------------------------------------------
# FLAVOUR=fuzz needs clang.
$(B)/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=fuzzer $(FLAGS) $(LDFLAGS) $^ $(LIBS) $(LIBS_top) -o $@
$(B)/fuzz/fuzz_strip: $(B)/shim/strip.o
$(B)/fuzz/peer: $(B)/tests/fuzz/peer.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# ---- crashing ------------------------------------------------------------------------------
# What tests/crash/run needs: programs, and preloads for the sidecar.
CRASH      := $(addprefix $(B)/crash/,storm sim images race faults damage full)
CRASH_SIZE ?= ci
$(B)/crash/storm: $(addprefix $(B)/tests/crash/,storm_client.o storm_check.o)
$(B)/crash/sim: $(addprefix $(B)/tests/crash/,sim_model.o sim_ledger.o sim_compare.o)
$(B)/crash/images: $(B)/tests/crash/images_live.o $(B)/crash/record.so
$(B)/crash/faults: $(B)/tests/crash/faults_scenario.o $(B)/crash/fault.so
$(CRASH): $(B)/crash/%: $(B)/tests/crash/%.o $(B)/tests/crash/ask.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -o $@
$(B)/crash/%.so: tests/crash/%.c
	@mkdir -p $(@D) $(B)/tests/crash
	$(Q)$(CC) $(filter-out $(FLAGS),$(BASE)) $(CFLAGS) -MF $(B)/tests/crash/$*.so.d -MT $@ -fPIC -shared $< -o $@

check-crash: all $(CRASH) ## the ledger under kill -9, power failures, faults, damage; CRASH_ONLY="NAME ..." for some
	tests/crash/run $(CURDIR)/$(B) $(CRASH_SIZE) $(CRASH_ONLY)

# ---- everything that must hold -------------------------------------------------------------
E2E          ?=
FUZZ_SECONDS ?= 20
PEER_ROUNDS  ?= 3000
FUZZERS      := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
C_FILES      := $(wildcard $(addsuffix /*.[ch],shim meter governor store sidecar cli tests/*) tests/*.c)
SELF         := $(MAKE) -s DEV=1
CHECKS       := lint build unit corpus receipts prices double host e2e routing demo crash fuzz

.PHONY: check check-long e2e validate-receipts format fuzz $(CHECKS:%=check-%)
check: ## everything that must hold (scripts/check sets up what it needs)
	@began=$$(date +%s); for step in $(CHECKS); do \
	  start=$$(date +%s); echo "== $$step"; \
	  $(MAKE) -s check-$$step || { echo "== $$step: FAILED"; exit 1; }; \
	  echo "== $$step: ok, $$(($$(date +%s) - start)) s"; \
	done; echo "everything holds, $$(($$(date +%s) - began)) s"; echo "$(words $(CHECKS)) passed, 0 failed"

check-lint:
	clang-format --dry-run -Werror $(C_FILES)
	scripts/lint
check-build: # both compilers, warnings are errors; what is preloaded needs libc and shows its hooks alone
	$(SELF) -j2 all replay $(UNIT) $(CRASH) $(B)/scenarios $(addprefix $(B)/bench/,admissions transfers strip meter evaluate)
	$(SELF) -j2 FLAVOUR=asan all replay build/asan/host build/asan/fuzz/peer $(UNIT:$(B)/%=build/asan/%)
	tests/exports $(B)/libflyball.so
check-unit:
	$(SELF) -j2 -O test
	$(SELF) -j2 -O FLAVOUR=asan test
	@one=$$($(B)/tests/test_determinism --digest 2>/dev/null); \
	  other=$$(build/asan/tests/test_determinism --digest 2>/dev/null); \
	  echo "$$one" | grep -qxE '[0-9a-f]{64}' && test "$$one" = "$$other" || \
	  { echo "gcc's and clang's governors decide differently: '$$one', '$$other'"; exit 1; }
	$(SELF) -j2 -O FLAVOUR=tsan test-threads # the others have one thread
check-corpus: all
	tests/corpus_check $(B)/flyball
	tests/bounds_check $(B)/flyball
	tests/costs_check $(B)/flyball
check-receipts: all # and real ones of runs, end to end: tests/e2e/receipts.test
	tests/receipts/run $(B)/flyball
check-prices:
	prices/selftest
	prices/build --check
check-double: replay-test
check-host: # the shim's code, and the sidecar it speaks to, under each sanitizer and valgrind
	$(SELF) -j2 host
	$(SELF) -j2 FLAVOUR=asan host
	$(SELF) -j2 FLAVOUR=tsan host
	tests/host/run $(B) valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
check-e2e: e2e
check-routing: verify-routing
check-demo: all replay
	@mkdir -p build/tmp
	TMPDIR=$(CURDIR)/build/tmp tests/demo/show $(B) >build/demo.txt
	@rm -rf build/tmp
check-fuzz:
	tests/fuzz/nonsense build/asan 1 $(PEER_ROUNDS)
	$(SELF) -j2 FLAVOUR=fuzz $(FUZZERS:%=build/fuzz/fuzz/%)
	tests/fuzz/run build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

check-long: check ## the same, and the nightly sizes: sanitized end to end, an hour of fuzzing
	ASAN_OPTIONS=verify_asan_link_order=0:exitcode=66 BUILD=$(CURDIR)/build/asan tests/e2e/run -j 2
	BUILD=$(CURDIR)/build/tsan tests/e2e/run -j 2
	$(SELF) check-crash CRASH_SIZE=long
	$(SELF) check-fuzz FUZZ_SECONDS=600 PEER_ROUNDS=100000

# Clients from npm, of the versions that the lockfile has.
build/npm/.there: tests/clients/npm/package.json tests/clients/npm/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

e2e: all replay $(B)/scenarios build/npm/.there ## real clients against the provider double; E2E="NAME ..." for some
	BUILD=$(CURDIR)/$(B) tests/e2e/run -j 3 $(E2E)
validate-receipts: check-receipts replay ## the validator over its fixtures, and over receipts of real runs
	BUILD=$(CURDIR)/$(B) tests/e2e/run receipts
fuzz: check-fuzz ## each fuzzer for FUZZ_SECONDS
format: ## lay out the code
	clang-format -i $(C_FILES)

# ---- installing ----------------------------------------------------------------------------
share := $(DESTDIR)$(PREFIX)/share
.PHONY: install uninstall
install: all ## into PREFIX (default /usr/local), below DESTDIR
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(B)/flyball $(B)/flyballd
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/flyball $(B)/libflyball.so
	install -D -m 644 -t $(share)/man/man1 docs/flyball.1
	install -D -m 644 scripts/completion.bash $(share)/bash-completion/completions/flyball
uninstall: ## takes away what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/flyball $(DESTDIR)$(PREFIX)/bin/flyballd \
	  $(share)/man/man1/flyball.1 $(share)/bash-completion/completions/flyball
	rm -rf $(DESTDIR)$(PREFIX)/lib/flyball

# ---- showing -------------------------------------------------------------------------------
.PHONY: verify-routing
verify-routing: all ## route tasks for real, and prove what is on record of it, into build/routing
	tests/verify_routing $(B) build/routing

.PHONY: demo
demo: all replay ## an unchanged agent under a limit of five cents, on recorded traffic
	@tests/demo/show $(B)

# ---- measuring -----------------------------------------------------------------------------
$(B)/bench/admissions: $(B)/tests/bench/admissions.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
$(B)/bench/transfers: $(B)/tests/bench/transfers.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(shell $(PC) --libs libcurl) -o $@
$(B)/bench/meter: $(B)/tests/bench/meter.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
$(B)/bench/evaluate: $(B)/tests/bench/evaluate.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
$(B)/bench/strip: $(B)/tests/bench/strip.o $(B)/shim/strip.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ -o $@

.PHONY: bench
bench: all replay $(addprefix $(B)/bench/,admissions transfers strip meter evaluate) ## ratios, bare against hooked, in one run
	scripts/bench $(B)
	$(B)/bench/meter
