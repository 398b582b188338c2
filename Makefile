# SPDX-License-Identifier: Apache-2.0
# Flyball. `make help` lists the targets.

# ---- knobs ---------------------------------------------------------------------------------
CC       ?= cc
CFLAGS   ?= -O2 -g
PREFIX   ?= /usr/local
DESTDIR  ?=
# release | asan | tsan | cov | fuzz: each has a folder of its own under build/
FLAVOUR  ?= release
# DEV=1 makes warnings errors; CI sets it.
DEV      ?= 0
# V=1 shows the commands.
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

# ---- flavours ------------------------------------------------------------------------------
B        := build/$(FLAVOUR)
G        := build/gen
FLAVOUR_release :=
FLAVOUR_asan    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAVOUR_tsan    := -fsanitize=thread
FLAVOUR_cov     := --coverage -O0
FLAVOUR_fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS    := $(FLAVOUR_$(FLAVOUR))

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-format-nonliteral -Wno-unknown-warning-option -Wno-format-truncation
ifeq ($(DEV),1)
WARN     += -Werror
endif
VERSION  := 0.1.0
BASE     := -std=gnu11 -DFLYBALL_VERSION='"$(VERSION)"' -I. -I$(G) -MMD -MP -D_GNU_SOURCE -fno-common $(WARN) $(FLAGS)

PC       := pkg-config
LIBS_meter   := $(shell $(PC) --libs jansson libbrotlidec libzstd zlib)
LIBS_store   := -llmdb $(shell $(PC) --libs libcrypto)
LIBS_sidecar := $(shell $(PC) --libs libevent_core libevent_pthreads libcurl yaml-0.1) -lpthread
LIBS     := $(LIBS_meter) $(LIBS_store) $(LIBS_sidecar)

# ---- sources -------------------------------------------------------------------------------
SRC_meter    := $(wildcard meter/*.c)
SRC_governor := $(wildcard governor/*.c)
SRC_store    := $(wildcard store/*.c)
SRC_sidecar  := $(filter-out sidecar/main.c,$(wildcard sidecar/*.c))
SRC_cli      := $(filter-out cli/main.c,$(wildcard cli/*.c))
SRC_client   := shim/client.c shim/link.c shim/start.c shim/refusal.c
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
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
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
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -lcmocka -o $@

.PHONY: test
test: $(UNIT) ## the unit tests of this flavour
	@for t in $(UNIT); do echo "== $$t"; $$t || exit 1; done

# The shim's code in a program of its own, for the sanitizers.
$(B)/host: $(call objects,tests/host/host.c $(filter %.c,$(SRC_shim)))
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
	$(Q)$(CC) -fsanitize=fuzzer $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@
$(B)/fuzz/peer: $(B)/tests/fuzz/peer.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# ---- showing -------------------------------------------------------------------------------
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

.PHONY: bench
bench: all replay $(B)/bench/admissions $(B)/bench/transfers ## ratios, bare against hooked, in one run
	scripts/bench $(B)
