/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock - time as int64_t nanoseconds, one unit everywhere.
 *
 * Whatever ends in `_ns` and names a moment is on CLOCK_MONOTONIC, so that a
 * stepped wall clock moves no deadline. The wall clock is for people only.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* A moment that never comes. */
#define CLOCK_NEVER INT64_MAX

/* The moment now, on CLOCK_MONOTONIC. Comparable between processes. */
int64_t clock_now_ns(void);

/* Nanoseconds since 1970, on CLOCK_REALTIME. */
int64_t clock_wall_ns(void);

/* Seconds (any fraction) to nanoseconds and back; saturates. */
int64_t clock_from_seconds(double seconds);
double clock_to_seconds(int64_t ns);

/* Writes "2026-01-31T23:59:59.123Z" (RFC 3339, with milliseconds); returns
 * buf. */
#define CLOCK_TEXT_SIZE 25
char *clock_format_wall(int64_t wall_ns, char buf[CLOCK_TEXT_SIZE]);

#endif
