# make            build the module (build/lib/decant/core.so)
# make test       run the specs; ends with "N passed, N failed, N skipped"
# make check      luacheck, and the C code with warnings as errors
# make asan       the specs under the address and undefined-behaviour sanitizers
# make neon       build-neon/hash: the core for 64-bit ARM (cross compiler)
# make fuzz       TIME=seconds for each reader of files (needs clang; libFuzzer)
# make bench      benchmarks; appends a line to bench/LOG.md
# make install    PREFIX=dir (library, Lua files, program, bundled models)
# make deps       Debian packages for building and testing (root or sudo)
# make clean      remove what was built

# What LuaRocks or a packager may override. Flags that the code cannot do
# without are in BASE, out of their reach.
LUA        ?= lua5.4
LUA_INCDIR ?= $(shell pkg-config --cflags-only-I lua5.4 2>/dev/null | sed 's/^-I//;s/ .*//')
CC         ?= cc
CFLAGS     ?= -O2 -fPIC
LIBFLAG    ?= -shared
OPENMP     ?= 1
PREFIX     ?= /usr/local
BUILD      ?= build
KERNEL_FLAGS ?= -O3

INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_BINDIR ?= $(PREFIX)/bin
INST_MODELS ?= $(PREFIX)/share/decant/models

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
       -Wvla -Wpointer-arith -Wwrite-strings
BASE = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -ffp-contract=off \
       -fno-math-errno -fexceptions $(if $(LUA_INCDIR),-I"$(LUA_INCDIR)") \
       -Isrc $(WARN) $(EXTRA)
OMP_1 = -fopenmp
OMP_0 = -Wno-unknown-pragmas
LINK = $(LIBFLAG) $(OMP_$(OPENMP)) -Wl,-z,nodelete -ldl -lpthread -lm

SOURCES = $(sort $(wildcard src/*/*.c))
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/%.o)
CORE    = $(BUILD)/lib/decant/core.so

all: $(CORE)

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) -o $@ $(OBJECTS) $(LINK) $(EXTRA)

# The flags are part of what an object depends on.
FLAGS = $(CC) $(CFLAGS) $(BASE) $(OPENMP)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
FORCE:

$(BUILD)/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BASE) $(OMP_$(OPENMP)) $(ISA) -MMD -c -o $@ $<

-include $(OBJECTS:.o=.d)

# A header that was there at the last build and is gone: build anew.
src/%.h: ;

# One instruction set a file: its kernels alone are compiled for it. -O3, for
# their loops over constant tiles have to be unrolled.
$(BUILD)/math/kernels_%.o: ISA = $(KERNEL_FLAGS)
ifneq ($(filter x86_64% amd64%,$(shell $(CC) -dumpmachine)),)
$(BUILD)/math/kernels_avx2.o:   ISA = $(KERNEL_FLAGS) -mavx2 -mfma -mf16c
AVX512 = $(KERNEL_FLAGS) -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq \
         -mavx512vl
$(BUILD)/math/kernels_avx512.o: ISA = $(AVX512)
$(BUILD)/math/kernels_avx512vnni.o: ISA = $(AVX512) -mavx512vnni
endif

# Threads that wait sleep: on a busy machine, spinning ones take the time of
# those that work (docs/embedding.md).
test: all
	OMP_WAIT_POLICY=passive $(LUA) spec/run.lua

# luacheck; then every C file again, with warnings as errors.
check:
	luacheck -q lua spec examples bench bin/decant
	$(MAKE) BUILD=build-check EXTRA=-Werror all
	$(CC) -std=c11 -D_GNU_SOURCE -fsyntax-only $(WARN) -Werror -I"$(LUA_INCDIR)" \
	  spec/support/host.c
	$(CC) -std=c11 -D_GNU_SOURCE -fsyntax-only $(WARN) -Werror -Isrc bench/loops.c \
	  spec/support/hash.c
	$(CC) -std=c11 -D_GNU_SOURCE -fsyntax-only -fopenmp $(WARN) -Werror \
	  bench/limits.c

# Leaks count too; the report of one fails the run. (With any optimisation the
# compiler takes minutes for the instrumented kernels. initial-exec: the leak
# checker misreads thread-local storage of a library that was loaded late.)
ASAN = -fsanitize=address,undefined -g -O1 -fno-omit-frame-pointer \
       -ftls-model=initial-exec
asan:
	$(MAKE) BUILD=build-asan KERNEL_FLAGS=-O0 EXTRA="$(ASAN)" all
	DECANT_BUILD=build-asan \
	  LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) \
	  $$($(CC) -print-file-name=libubsan.so)" \
	  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(LUA) spec/run.lua

# The core without its bindings, in a program that says what bits it computes:
# for this machine, and for ARM's, whose kernels so run under qemu-user. Static:
# the emulator needs no libraries. Built and run by spec/neon_spec.lua.
$(BUILD)/hash: spec/support/hash.c $(filter-out $(BUILD)/lua/%,$(OBJECTS))
	$(CC) $(CFLAGS) $(BASE) $(OMP_$(OPENMP)) -o $@ $^ $(OMP_$(OPENMP)) \
	  $(STATIC) -lpthread -lm
neon:
	$(MAKE) BUILD=build-neon CC=aarch64-linux-gnu-gcc OPENMP=0 STATIC=-static \
	  build-neon/hash

# clang's runtime is Debian's libclang-rt-14-dev (the number is clang's).
TIME ?= 60
fuzz: all
	@command -v clang >/dev/null || { echo "make fuzz: needs clang" >&2; exit 1; }
	$(MAKE) BUILD=build-fuzz CC=clang OPENMP=0 KERNEL_FLAGS=-O1 CFLAGS="-O1 -g" \
	  EXTRA="-fsanitize=fuzzer-no-link,address,undefined \
	  -fno-sanitize-recover=undefined" all
	spec/fuzz/run.sh $(TIME) $(TARGETS)

# The loops of the strategies in C, for bench/loops.lua.
$(BUILD)/bench/loops: bench/loops.c $(CORE)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BASE) $(OMP_$(OPENMP)) -o $@ bench/loops.c \
	  $(filter-out $(BUILD)/lua/%,$(OBJECTS)) $(OMP_$(OPENMP)) \
	  -Wl,--wrap=aligned_alloc -lpthread -lm

# What the machine can do. For this machine's instructions, and contracting
# (a * b + c is one of them): no sum of decant's is in it.
$(BUILD)/bench/limits: bench/limits.c
	@mkdir -p $(@D)
	$(CC) -O2 -std=c11 -D_GNU_SOURCE $(WARN) -march=native -ffp-contract=fast \
	  -fopenmp -o $@ $<

bench: all
	bench/run.sh

# The program's first line names the Lua that the module was built for.
install: all
	mkdir -p "$(DESTDIR)$(INST_LIBDIR)/decant" "$(DESTDIR)$(INST_LUADIR)" \
	  "$(DESTDIR)$(INST_BINDIR)" "$(DESTDIR)$(INST_MODELS)"
	cp $(CORE) "$(DESTDIR)$(INST_LIBDIR)/decant/core.so"
	cp -R lua/decant "$(DESTDIR)$(INST_LUADIR)/"
	sed '1s|/usr/bin/env lua5.4|$(SHEBANG)|' bin/decant \
	  > "$(DESTDIR)$(INST_BINDIR)/decant"
	chmod 755 "$(DESTDIR)$(INST_BINDIR)/decant"
	for file in models/*.gguf models/*.md; do test ! -f "$$file" || \
	  cp "$$file" "$(DESTDIR)$(INST_MODELS)/"; done
SHEBANG = $(if $(filter /%,$(LUA)),$(LUA),/usr/bin/env $(LUA))

deps:
	sh install-deps.sh

clean:
	rm -rf $(BUILD) build-check build-asan build-fuzz build-rock build-serial \
	  build-neon

.PHONY: all test check asan neon fuzz bench install deps clean FORCE
