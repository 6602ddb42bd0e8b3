/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload - a reload under way, as its two files see it.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "base/buf.h"
#include "core/check.h"
#include "master/family.h"

struct reload {
	struct master *master;
	struct deployment *next;
	struct check check;
	struct loop_io check_io;
	struct loop_timer check_deadline;
	struct buf check_text;
	bool canary_ready;
};

/* --- reload_check.c */
/* Starts the check of reload->next; reload_on_checked() follows. -1 with the
 * reason when it could not be. */
int reload_check_start(struct reload *reload, struct why *why);
/* Nothing of it is of interest any more; it is killed, and reaped later. */
void reload_check_drop(struct reload *reload);

/* --- reload.c */
/* The check has ended: `text` is what it found wrong, "" for nothing. */
void reload_on_checked(struct reload *reload, const char *text);
/* All errors in one line. */
void reload_join(const struct conf_errors *errors, char *text, size_t size);

#endif
