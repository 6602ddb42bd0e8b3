/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock - time as int64_t nanoseconds, one unit everywhere.
 *
 * Reads the two clocks and converts. Keeps no state and allocates nothing
 * (gmtime_r(3) may read the zone file once, at its first call in a process).
 */
#include "base/clock.h"

#include <time.h>

#define CLOCK_2_63 9223372036854775808.0
#define CLOCK_2_52 4503599627370496.0

static int64_t
clock_read(clockid_t id)
{
	struct timespec ts;

	/* Fails only for a clock that does not exist. */
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t
clock_now_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t
clock_from_seconds(double seconds)
{
	double ns = seconds * (double)NS_PER_S;

	if (ns != ns)
		return 0;
	/* 2^63 is a double, INT64_MAX is not; beyond it a cast is undefined. */
	if (ns >= CLOCK_2_63)
		return INT64_MAX;
	if (ns <= -CLOCK_2_63)
		return INT64_MIN;
	/* To the nearest, so that 0.1 + 0.2 seconds are 300000000. A double
	 * of 2^52 and more has no fraction left to round. */
	if (ns > -CLOCK_2_52 && ns < CLOCK_2_52)
		ns += ns < 0 ? -0.5 : 0.5;
	return (int64_t)ns;
}

double
clock_to_seconds(int64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

char *
clock_format_wall(int64_t wall_ns, char buf[CLOCK_TEXT_SIZE])
{
	int64_t ms = wall_ns / NS_PER_MS;
	unsigned fraction;
	struct tm tm;
	time_t s;

	/* Both divisions must round down, also before 1970. */
	if (wall_ns % NS_PER_MS < 0)
		ms--;
	s = (time_t)(ms / 1000);
	if (ms % 1000 < 0)
		s--;
	fraction = (unsigned)(ms - (int64_t)s * 1000);

	/* int64_t nanoseconds end in 2262: the year has four digits. */
	gmtime_r(&s, &tm);
	strftime(buf, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	buf[19] = '.';
	buf[20] = (char)('0' + fraction / 100);
	buf[21] = (char)('0' + fraction / 10 % 10);
	buf[22] = (char)('0' + fraction % 10);
	buf[23] = 'Z';
	buf[24] = '\0';
	return buf;
}
