# squarecloud for Lua.  Users install the rock; this file is for developers.
#   make         build in place             make demo   the main job, end to end
#   make test    install what is missing, then build and run all specs
#   make check   the same, installing nothing

LUA     ?= lua5.4
PREFIX  ?= /usr/local
B        = build
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
           -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
ALL_CF   = -std=c11 -fPIC $(WARN) $(shell pkg-config --cflags lua5.4) $(CFLAGS)
LIBS     = -lcurl -lzip -lpthread -ldl
SRC     := $(sort $(wildcard csrc/*.c csrc/*/*.c))
OBJ      = $(SRC:%.c=$B/%.o)
PROBES   = $(patsubst spec/support/%.c,$B/%.so,$(wildcard spec/support/*_probe.c))
CORE     = $B/squarecloud/core.so
RUN      = eval "$$($(MAKE) -s --no-print-directory env B=$B)";
SPECS   ?= spec
BUSTED   = $(RUN) $(PRELOAD) $(LUA) "$$(command -v busted)" --cpath="$B/?.so"

all: $(CORE)

$(CORE): $(OBJ)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $(OBJ) $(LIBS)

$B/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CF) -MMD -MP -c -o $@ $<

$B/%_probe.so: spec/support/%_probe.c $(OBJ)
	@echo "  LINK $@"
	@$(CC) $(ALL_CF) -shared $(LDFLAGS) -o $@ $< $(OBJ) $(LIBS)

deps:
	@sh spec/support/deps.sh test

demo:
	@sh spec/support/deps.sh demo
	@$(MAKE) -s -j2 all && $(RUN) $(LUA) spec/demo.lua

try: override export TRY := $(value TRY)
try:
	@sh spec/support/deps.sh try >&2
	@$(MAKE) -s -j2 all >&2
	@$(RUN) exec setpriv --pdeathsig HUP sh spec/support/try.sh $(LUA)

check: all $(PROBES)
	@$(BUSTED) $(SPECS)

test: deps
	@$(MAKE) check

# ALL_CF asks pkg-config, so only a second make knows it on a bare machine.
lint:
	@sh spec/support/deps.sh build lint
	@$(MAKE) -s -j2 linted

linted: all
	@sh spec/support/lint.sh "$(ALL_CF) -Werror"

rock:
	@sh spec/support/rock.sh $B/rock

torture: all
	@$(RUN) $(LUA) spec/torture/run.lua $B/torture

peers: all
	@$(RUN) sh spec/peers/run.sh $B/peers

minutes: all
	@$(RUN) $(LUA) spec/minutes.lua

failing: export FAILING = all
failing: all $(PROBES)
	@$(BUSTED) spec/failing_spec.lua

SECONDS ?= 20
fuzz: export LIMIT = $(shell expr $(SECONDS) + 300)
fuzz:
	@sh spec/fuzz/run.sh $B/fuzz $(SECONDS)
	@$(MAKE) asan SPECS="--script spec/fuzz/api.lua $(SECONDS)"
	@$(MAKE) tsan SPECS="--script spec/fuzz/api.lua $(SECONDS)"

fuzz-long:
	@$(MAKE) fuzz SECONDS=650

# The suite under a tool, or with a collector that is busy: spec/support/under.sh.
asan: TOOL_CF = -fsanitize=address,undefined -fsanitize-undefined-trap-on-error
tsan: TOOL_CF = -fsanitize=thread
asan tsan valgrind generational always:
	@$(MAKE) -s under UNDER=$@ B=build/$@ CFLAGS="-O1 -g $(TOOL_CF)"

under: all $(PROBES)
	@$(RUN) B=$B sh spec/support/under.sh $(UNDER) $(SPECS)

check-gc:
	@$(MAKE) generational always

check-all:
	@sh spec/support/all.sh $B/all

docs: all
	@$(RUN) $(LUA) spec/reference/pages.lua

# On bare trees of Debian 12, 13 and unstable; STEPS and RELEASES: what of it.
distros:
	@sh spec/distros/run.sh build/distros

coverage:
	@sh spec/coverage/run.sh build/coverage

bench: all
	@$(RUN) sh spec/bench/run.sh "$(CC)"

builds:
	@sh spec/builds/run.sh $B/builds

install: all
	@sh spec/support/install.sh $(CORE) "$(DESTDIR)" "$(PREFIX)" $(LUA)

uninstall:
	@sh spec/support/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

dist:
	@sh spec/support/dist.sh $B/dist

env:
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;}'"
	@echo "export LUA_CPATH='$(abspath $B)/?.so;$${LUA_CPATH:-;}'"
	@echo "export PATH='$(CURDIR)/lua/squarecloud/bin':\"\$$PATH\""

clean:
	@! grep -F ' $(CURDIR)/build' /proc/self/mounts ||
	  { echo "clean: still mounted there: nothing is removed"; exit 1; }
	rm -rf --one-file-system build

-include $(OBJ:.o=.d)
.PHONY: all deps demo try check test lint rock torture peers failing fuzz fuzz-long \
  asan tsan valgrind generational always under check-gc check-all docs coverage \
  bench builds install uninstall dist distros env clean
