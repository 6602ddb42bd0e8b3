# SPDX-License-Identifier: BSD-2-Clause
#
# brood - build, test, install. GNU make; one file for the whole tree.
#
# Works on a fresh clone. `autoconf && ./configure` writes config.mak, which
# only sets variables of this file. Everything made goes to build/FLAVOUR/;
# `make help` lists what there is to ask for, `make deps` installs the
# packages that are needed (Debian, Ubuntu).
#
# A file is found by its place: src/FOLDER/*.c is the archive of that folder,
# src/modules/*.c and src/modules/*/ a module each, tests/unit/test_*.c a program
# each.

VERSION = 0.1.0
FLAVOUR = release

prefix = /usr/local
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
sbindir = $(exec_prefix)/sbin
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
datarootdir = $(prefix)/share
datadir = $(datarootdir)
mandir = $(datarootdir)/man
docdir = $(datarootdir)/doc/brood
sysconfdir = $(prefix)/etc
pkgconfigdir = $(libdir)/pkgconfig
moduledir = $(libdir)/brood/modules
systemdsystemunitdir = $(prefix)/lib/systemd/system
completionsdir = $(datadir)/bash-completion/completions

CC = gcc
CFLAGS = -O2 -g
PKG_CONFIG = pkg-config
INSTALL = install
JOBS = 2
V = 0
FUZZ_SECONDS = 15

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL = all

-include config.mak

# ---------------------------------------------------------------- flavours

# release coverage asan clang fuzz: what they are compiled with and for. clang
# is there for its opinion alone, and of tests only the results matter: both are
# compiled quickly rather than well.
harden = -fstack-protector-strong -fstack-clash-protection
quickly = -O0 -g
sanitize = address,undefined
ifeq ($(FLAVOUR),release)
  optimize = $(CFLAGS) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(harden)
else ifeq ($(FLAVOUR),clang)
  override CC = clang
  optimize = -O0
  quickly = -O0
else ifeq ($(FLAVOUR),asan)
  checked = -fsanitize=$(sanitize) -fno-sanitize-recover=undefined
  optimize = -O1 -g -fno-omit-frame-pointer $(checked)
  quickly += $(checked)
  link_flavour = -fsanitize=$(sanitize)
else ifeq ($(FLAVOUR),coverage)
  optimize = -O0 -g --coverage
  quickly += --coverage
  link_flavour = --coverage
else ifeq ($(FLAVOUR),fuzz)
  override CC = clang
  optimize := -O1 -g -fsanitize=fuzzer-no-link,$(sanitize)
  optimize += -fno-sanitize-recover=undefined
  quickly := $(optimize)
  link_flavour = -fsanitize=$(sanitize)
else
  $(error FLAVOUR=$(FLAVOUR): there are release, clang, asan, coverage, fuzz)
endif

# B=FOLDER on the command line builds elsewhere, V=1 shows the commands.
B = build/$(FLAVOUR)
quiet = $(if $(filter 0,$V),@printf '  %-5s %s\n' $1 $(@:$B/%=%);)

# ---------------------------------------------------------------- settings

packages = libmicrohttpd jansson libconfig libpcre2-8 sqlite3 librabbitmq gnutls
test_packages = check libcurl
pkg = $(shell $(PKG_CONFIG) $1 $2 2>/dev/null)
absent = $(strip $(foreach p,$1,$(if $(call pkg,--exists,$p || echo no),$p)))

warnings = -Wall -Wextra -Werror -Wshadow -Wpointer-arith \
	-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2
defines = -D_GNU_SOURCE -DBROOD_VERSION='"$(VERSION)"' \
	-DSYSCONFDIR='"$(sysconfdir)"' -DSBINDIR='"$(sbindir)"' \
	-DBROOD_MODULE_DIR='"$(moduledir)"'
compile = $(CC) -std=c11 $(warnings) -Isrc $(defines) $(CPPFLAGS) \
	$(optimize) $(package_cflags) -MMD -MP
link = $(CC) $(optimize) $(link_flavour) $(LDFLAGS) -Wl,-z,relro,-z,now \
	-Wl,--as-needed
program = -pie -Wl,--export-dynamic-symbol='brood_*'

package_cflags := $(call pkg,--cflags,$(packages))
libs := $(call pkg,--libs,$(packages)) -lm
test_cflags := $(call pkg,--cflags,$(test_packages))
test_libs := $(call pkg,--libs,$(test_packages))

# Rewritten, and with it everything rebuilt, when a setting has changed.
$B/settings: FORCE
	$(if $(call absent,$(packages)),$(error not installed: $(call \
	absent,$(packages)) (or no $(PKG_CONFIG)); ./scripts/deps installs them))
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(compile) $(quickly) $(link))' >$@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi

.PHONY: FORCE test-packages
FORCE:

test-packages:
	$(if $(call absent,$(test_packages)),$(error not installed: $(call \
	absent,$(test_packages)); ./scripts/deps test installs them))

# ----------------------------------------------------------------- objects

folders = base core master rest hub task amqp ctl
module_folders = $(patsubst src/modules/%/,%,$(wildcard src/modules/*/))
modules = $(patsubst src/modules/%.c,$B/modules/%.so,\
	$(wildcard src/modules/*.c)) $(module_folders:%=$B/modules/%.so)
objects = $(patsubst %.c,$B/obj/%.o,$(wildcard $1))
archives = $(1:%=$B/libbrood-%.a)

all: $B/broodd $B/broodctl $(modules) etc man

$B/obj/%.o: %.c $B/settings
	@mkdir -p $(@D)
	$(call quiet,CC)$(compile) -fPIE -o $@ -c $<

$B/obj/tests/%.o: private optimize = $(quickly)
$B/obj/tests/%.o: tests/%.c $B/settings | test-packages
	@mkdir -p $(@D)
	$(call quiet,CC)$(compile) $(test_cflags) -fPIE -o $@ -c $<

# Made anew when its folder changes: a deleted source leaves the archive.
define archive
$B/libbrood-$1.a: $(call objects,src/$1/*.c) src/$1
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call quiet,AR)$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach folder,$(folders),$(eval $(call archive,$(folder))))

# A module may call any function of brood.h, so broodd has all of core.
whole_core = -Wl,--whole-archive $B/libbrood-core.a -Wl,--no-whole-archive

$B/broodd: $B/obj/src/broodd.o $(call archives,core master rest hub task amqp base)
	$(call quiet,LINK)$(link) $(program) -o $@ $< $(whole_core) \
		$(call archives,master rest hub task amqp base) $(libs)

$B/broodctl: $B/obj/src/ctl/broodctl.o $(call archives,ctl core base)
	$(call quiet,LINK)$(link) -pie -o $@ $^ $(libs)

# -------------------------------------------------- modules: PIC and alone

module_libs = $(call pkg,--libs,jansson)
$B/modules/cruncher.so: module_libs += $(call pkg,--libs,libpcre2-8) \
	$(call pkg,--libs,libcurl)
$B/pic/src/modules/cruncher/smtp.o: private defines += \
	$(if $(call pkg,--libs,libcurl),-DWITH_LIBCURL)

define module
	@mkdir -p $(@D)
	$(call quiet,MOD)$(compile) -fPIC -MF $@.d -shared $(link_flavour) $(LDFLAGS) \
		-Wl,-z,relro,-z,now -o $@ $< $(module_libs)
endef

$B/modules/%.so: src/modules/%.c $B/settings
	$(module)

$B/tests/modules/%.so: tests/modules/%.c $B/settings
	$(module)

# One of several files is src/modules/NAME/*.c.
$B/pic/%.o: %.c $B/settings
	@mkdir -p $(@D)
	$(call quiet,CC)$(compile) -fPIC -o $@ -c $<

define module_folder
$B/modules/$1.so: $(patsubst %.c,$B/pic/%.o,$(wildcard src/modules/$1/*.c)) \
		src/modules/$1
	@mkdir -p $$(@D)
	$$(call quiet,MOD)$$(CC) -shared $$(optimize) $$(link_flavour) \
		$$(LDFLAGS) -Wl,-z,relro,-z,now -Wl,--as-needed -o $$@ \
		$$(filter %.o,$$^) $$(module_libs)
endef
$(foreach folder,$(module_folders),$(eval $(call module_folder,$(folder))))

# ------------------------------------------------------------------- tests

test_modules = $(patsubst %.c,$B/%.so,$(wildcard tests/modules/*.c))
unit_tests = $(patsubst %.c,$B/%,$(wildcard tests/unit/test_*.c))
system_tests = $(patsubst %.c,$B/%,$(wildcard tests/system/test_*.c))
fuzzers = $(patsubst %.c,$B/%,$(wildcard tests/fuzz/fuzz_*.c))

# test_NAME links the archive of the folder that NAME.c is in and those that
# this folder may use, so a forbidden call does not even link.
# test_FOLDER_NAME is for a NAME that several folders have.
uses_base = base
uses_core = core base
uses_master = master core base
uses_rest = rest core base
uses_hub = hub core base
uses_task = task core base
uses_amqp = amqp core base
uses_ctl = ctl core base
uses_ = master rest hub task amqp core base
folder_of = $(firstword $(foreach folder,$(folders),$(if $(wildcard \
	src/$(folder)/$1.c src/$(folder)/$(1:$(folder)_%=%).c),$(folder))))
uses = $(uses_$(call folder_of,$(patsubst test_%,%,$1)))
loads_modules = $(if $(shell grep -l '"core/module.h"' $1),$(whole_core))

define unit_test
$B/tests/unit/$1: $B/obj/tests/unit/$1.o $(call archives,$(call uses,$1))
	@mkdir -p $$(@D)
	$$(call quiet,LINK)$$(link) $$(program) -o $$@ $$< \
		$(call loads_modules,tests/unit/$1.c) \
		$$(filter-out $$<,$$^) $$(test_libs) $$(libs)
endef
$(foreach program,$(notdir $(unit_tests)),$(eval $(call \
	unit_test,$(program))))

# What the system tests share is in tests/system/lib.
$B/tests/system/%: $B/obj/tests/system/%.o \
		$(call objects,tests/system/lib/*.c) $(call archives,core base)
	@mkdir -p $(@D)
	$(call quiet,LINK)$(link) -pie -o $@ $^ $(test_libs) $(libs)

$B/tests/fuzz/%: $B/obj/tests/fuzz/%.o $(call archives,rest hub amqp core base)
	@mkdir -p $(@D)
	$(call quiet,LINK)$(link) -fsanitize=fuzzer -o $@ $^ $(libs)

tests: $(unit_tests) $(system_tests) $(test_modules)
run_tests = FLAVOUR=$(FLAVOUR) JOBS=$(JOBS) CC='$(CC)' \
	bash scripts/run-tests $B

check: all tests
	$(run_tests) $(unit_tests) $(system_tests)

check-unit: $(unit_tests) $(test_modules) $(modules)
	$(run_tests) $(unit_tests)

check-system: all $(system_tests) $(test_modules)
	$(run_tests) $(system_tests)

check-asan:
	$(MAKE) FLAVOUR=asan check

check-clang:
	$(MAKE) FLAVOUR=clang all tests

# Left out: pure code that is tried with thousands of values, which the
# sanitizers look at too, and system tests that are about time or load.
valgrind_system = amqp_publish rest_jobs data config reload modes rest control
not_in_valgrind = backoff buf log_line mem policy hub_exchange jobs_index \
	schedule_plan cron
# These need no process for each of their tests: valgrind translates what a
# process is the first to run, and looks for leaks at its end, which takes most
# of the time.
one_process = address amqp_status arguments bindings call call_api call_data \
	call_id call_json call_wait call_work chan clock cmd conf conf_amqp \
	conf_nearest conf_print conf_source conf_work ctl_client \
	ctl_format ctl_render ctl_render_hub ctl_render_work data delivery \
	desk_order effects head histogram hub_client hub_watch idempotency \
	keys lock msg outbox peer pools prefer problem publish rabbit_event \
	rabbit_props rabbit_write route schedule scoreboard seen siphash \
	store_data store_db store_jobs task_attrs topology uri url utf8 why \
	wire work work_call work_follow
# What takes long comes first, so that the last ones end together.
valgrind_first = peer keys work lock
valgrind_unit = $(filter-out $(not_in_valgrind),$(unit_tests:$B/tests/unit/test_%=%))
check-valgrind: all tests
	VALGRIND=1 ONE_PROCESS='$(one_process)' $(run_tests) \
		$(valgrind_system:%=$B/tests/system/test_%) \
		$(patsubst %,$B/tests/unit/test_%,$(valgrind_first) \
		$(filter-out $(valgrind_first),$(valgrind_unit)))

coverage:
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	-$(MAKE) FLAVOUR=coverage check
	bash scripts/coverage build/coverage

fuzz:
	$(MAKE) FLAVOUR=fuzz fuzz-run

fuzz-run: $(fuzzers)
	JOBS=$(JOBS) bash scripts/run-fuzz $B $(FUZZ_SECONDS) $(fuzzers)

bench: all
	bash bench/run $B
	bash bench/ipc/run $B
	bash bench/jobs/run $B
	bash bench/amqp/run $B

walkthrough: all
	bash scripts/walkthrough $B

check-install:
	bash scripts/check-install

check-quickstart:
	bash scripts/check-quickstart

# -------------------------------------------------------------------- lint

sources = $(wildcard src/*.[ch] src/*/*.[ch] src/*/*.def src/*/*/*.[ch] \
	tests/*/*.[ch] tests/*/*/*.[ch] bench/*.c bench/*/*.c)
shell_scripts = $(shell grep -lE '^\#!.*[ /](ba|da)?sh$$' .ci/* scripts/* \
	bench/* bench/*/* etc/* 2>/dev/null)
pages = $(wildcard man/*.[1-9])
lints = lint-layers lint-heads lint-docs lint-format lint-shell lint-man \
	lint-cppcheck

# Every one runs, then the result: one mistake does not hide another.
lint:
	@$(MAKE) --no-print-directory -k $(lints)

lint-layers:
	bash scripts/lint-layers
	@echo ok $@

lint-heads:
	@bash scripts/lint-heads $(sources)
	@echo ok $@

lint-docs: $B/broodd
	bash scripts/lint-conf-man $B/broodd
	bash scripts/lint-cmd-man
	@echo ok $@

lint-format:
	@clang-format --dry-run --Werror $(filter %.c,$(sources))
	@echo ok $@

lint-shell:
	shellcheck -x $(shell_scripts)
	@echo ok $@

lint-man:
	mandoc -Tlint -Wwarning $(pages)
	@echo ok $@

lint-cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
		--suppress=returnDanglingLifetime --error-exitcode=1 \
		-D__GNUC__ -Isrc src
	@echo ok $@

format:
	clang-format -i $(filter %.c,$(sources))

# ----------------------------------------------------------------- install

# @NAME@ in the files of etc/ and man/ and in brood.pc
placeholders = prefix bindir sbindir libdir includedir datadir mandir \
	sysconfdir moduledir VERSION
etc_files = $(patsubst %,$B/%,$(wildcard etc/*))
man_files = $(patsubst %,$B/%,$(pages))
fill = sed $(foreach name,$(placeholders),-e 's|@$(name)@|$($(name))|g')

etc: $(etc_files) $B/brood.pc
man: $(man_files)

$(etc_files) $(man_files): $B/%: % $B/settings
	@mkdir -p $(@D)
	$(call quiet,FILL)$(fill) $< >$@

$B/brood.pc: src/brood.pc.in $B/settings
	$(call quiet,FILL)$(fill) $< >$@

# A row is MODE:FILE:TO; install and uninstall are made of the same rows.
confdir = $(sysconfdir)/brood
rows = 755:$B/broodd:$(sbindir)/broodd \
	755:$B/broodctl:$(sbindir)/broodctl \
	644:src/brood.h:$(includedir)/brood.h \
	644:$B/brood.pc:$(pkgconfigdir)/brood.pc \
	644:COPYING:$(docdir)/COPYING \
	644:README:$(docdir)/README \
	644:$B/etc/cruncher.conf:$(docdir)/cruncher.conf \
	$(foreach file,$(modules),755:$(file):$(moduledir)/$(notdir $(file))) \
	$(foreach file,$(man_files),644:$(file):$(mandir)/man$(subst \
		.,,$(suffix $(file)))/$(notdir $(file))) \
	755:$B/etc/brood.init:$(sysconfdir)/init.d/brood \
	644:$B/etc/brood.service:$(systemdsystemunitdir)/brood.service \
	644:$B/etc/brood.logrotate:$(sysconfdir)/logrotate.d/brood \
	644:$B/etc/broodctl.bash:$(completionsdir)/broodctl
own_folders = $(moduledir) $(libdir)/brood $(docdir) $(confdir)

# The operator's: never overwritten, and left behind once changed.
operators = 644:$B/etc/brood.conf:$(confdir)/brood.conf \
	644:$B/etc/brood.default:$(sysconfdir)/default/brood

# A shell loop over rows with $$mode, $$file and $$to.
each = for row in $1; do to="$(DESTDIR)$${row\#\#*:}"; file=$${row%:*}; \
	mode=$${file%%:*}; file=$${file\#*:}

install: all
	@set -e; $(call each,$(rows)); \
		echo "  $$to"; $(INSTALL) -D -m $$mode $$file "$$to"; \
	done; $(call each,$(operators)); \
		if [ -e "$$to" ]; then echo "  $$to stays as it is"; else \
		echo "  $$to"; $(INSTALL) -D -m $$mode $$file "$$to"; fi; \
	done

uninstall: etc
	@set -e; $(call each,$(rows)); rm -f "$$to"; done; \
	$(call each,$(operators)); \
		if cmp -s $$file "$$to"; then rm -f "$$to"; fi; \
	done; for folder in $(own_folders:%=$(DESTDIR)%); do \
		if [ -d "$$folder" ]; then rmdir \
			--ignore-fail-on-non-empty "$$folder"; fi; \
	done

dist:
	@mkdir -p build
	git archive --format=tar.gz --prefix=brood-$(VERSION)/ \
		-o build/brood-$(VERSION).tar.gz HEAD
	@echo build/brood-$(VERSION).tar.gz

deps:
	bash scripts/deps

clean:
	rm -rf build

help:
	@echo 'make [FLAVOUR=release|asan|clang|coverage|fuzz] [TARGET]'
	@echo '  all           broodd, broodctl and the modules, in build/FLAVOUR'
	@echo '  check         unit and system tests; check-unit, check-system'
	@echo '  check-asan    the same with the address and undefined sanitizers'
	@echo '  check-valgrind, check-clang, walkthrough, coverage'
	@echo '  fuzz          each fuzzer for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo '  lint          layers, heads, docs, shell, man pages, format'
	@echo '  format        clang-format the sources in place'
	@echo '  bench         against nginx, Redis, Celery and others; takes long'
	@echo '  install, uninstall, dist, clean; deps installs what is missing'

.PHONY: all tests check check-unit check-system check-asan check-clang \
	check-valgrind check-install check-quickstart coverage fuzz fuzz-run bench walkthrough lint $(lints) \
	format etc man install uninstall dist deps clean help

-include $(shell find $B -name '*.d' 2>/dev/null)
