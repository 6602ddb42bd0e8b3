/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log - one line, one write.
 *
 * Every process of the family writes its own lines to the one target: stderr,
 * a file (O_APPEND) or syslog. A line is built in a fixed buffer and leaves in
 * one write(2), so lines of different processes never mix; what does not fit is
 * cut, with "…" at the end. Control bytes and invalid UTF-8 are escaped. A
 * write that fails or would block is dropped and counted, and the next line
 * that gets through is preceded by one that says how many were lost: a full
 * disk or a stuck reader never stops a process.
 *
 * text: 2026-01-31T23:59:59.123Z notice rest[4242] slot=3 gen=2 id=ID message
 *        key=value
 * json: {"time":"…","level":"notice","role":"rest","pid":4242,"slot":3,
 *        "generation":2,"id":"ID","message":"…","key":"value"}
 *
 * Knows nothing of brood; the names come through log_identity().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct why;

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_COUNT,
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

#define LOG_LINE_MAX 4096	/* bytes of a line, the newline included */

/* A member of a structured line. `text` NULL means the number. */
struct log_field {
	const char *key;	/* [a-z_]+ */
	const char *text;
	int64_t number;
};

/* "debug" … "error"; -1 for an unknown name. */
const char *log_level_name(enum log_level level);
int log_level_parse(const char *name);

/*
 * Before log_open() lines go to stderr as text at level info.
 *
 * target: "stderr", "syslog" (a datagram to /dev/log, facility daemon, tagged
 * with `tag`) or a path, created 0640. Returns 0, or -1 with the reason, and
 * then logging goes on as before.
 */
int log_open(const char *target, enum log_format format, const char *tag,
    struct why *why);

/* How lines look from now on; the target stays. */
void log_set_format(enum log_format format);

/* Opens a path target anew (after logrotate moved it). Others: nothing. */
int log_reopen(struct why *why);

/* The descriptor lines go to; -1 for none. A child that cannot open the file
 * itself is sent this one and takes it over with log_adopt_fd(). */
int log_fd(void);
void log_adopt_fd(int fd);

/* Who speaks. slot -1: none, and then generation is left out as well. */
void log_identity(const char *role, int slot, unsigned generation);

/* The id of the request being served, borrowed until the next call with
 * NULL. */
void log_request(const char *id);

/* Where the level is read from at each line: shared memory, so that one store
 * changes it for the whole family. */
void log_level_source(const _Atomic int *level);
void log_set_level(enum log_level level);	/* of the built-in source */
bool log_wanted(enum log_level level);

/* Lines that this process lost. */
uint64_t log_lost(void);

void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with members: n fields after the message. */
void log_fields(enum log_level level, const char *message,
    const struct log_field *fields, size_t n);

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
