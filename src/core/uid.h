/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uid - numbers for calls, jobs and messages, made by whoever creates one, so
 * that what is sent twice is known to be the same.
 *
 * A uid is 63 bits: milliseconds since 2020 (41), the maker's slot (14), a
 * counter (8). Those of one process only grow, whatever the wall clock does,
 * processes that live at the same time never make the same, and one that gets
 * the slot of another goes on behind it (uid_follow()). To the outside a job is
 * its uid and a token, 64 random bits: nobody guesses the id of another's job.
 */
#ifndef CORE_UID_H
#define CORE_UID_H

#include <stdbool.h>
#include <stdint.h>

/* Once in each child. */
void uid_init(unsigned slot);
/*
 * Where the time of the last number is kept for whoever gets the slot next: his
 * begin behind it, also when the wall clock was put back meanwhile. What stands
 * there may be anything. NULL: nowhere.
 */
void uid_follow(_Atomic uint64_t *last);
uint64_t uid_make(void);
uint64_t uid_token(void);		/* getrandom(2); never 0 */

/* When it was made: milliseconds since 1970. */
int64_t uid_wall_ms(uint64_t uid);

/* "1d3k9…-7f…": 13 + 1 + 13 characters of Crockford's base32, lower case. */
#define UID_TEXT_SIZE 28
char *uid_format(uint64_t uid, uint64_t token, char buf[UID_TEXT_SIZE]);
bool uid_parse(const char *text, uint64_t *uid, uint64_t *token);

#endif
