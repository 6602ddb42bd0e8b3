/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retry - names and delays of the queues beside a queue. Pure.
 *
 * A name says its delay in whole seconds where it can, else in milliseconds, so
 * that each delay has one name: what is not written that way is nobody's.
 */
#include "core/retry.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define DELAY ".retry."
#define DEAD ".dead"
#define LONGEST_MS (INT64_C(31536000) * 1000)

static int64_t
in_ms(int64_t ns)
{
	int64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;

	return ms < 1 ? 1 : ms;
}

static void
bounds_ms(const struct conf *conf, const struct conf_queue *queue, int64_t *min,
    int64_t *max)
{
	*min = in_ms(queue->backoff_min > 0 ? queue->backoff_min :
					      conf->tasks.backoff_min);
	*max = in_ms(queue->backoff_max > 0 ? queue->backoff_max :
					      conf->tasks.backoff_max);
	/* one may be the queue's own, and the other of 'tasks' */
	if (*max < *min)
		*max = *min;
}

int64_t
retry_step_ms(const struct conf *conf, const struct conf_queue *queue,
    int64_t delay_ms)
{
	int64_t step, max;

	if (delay_ms <= 0)
		return 0;
	bounds_ms(conf, queue, &step, &max);
	while (step < delay_ms && step < max)
		step = step > max / 2 ? max : step * 2;
	return step;
}

int64_t
retry_backoff_ms(const struct conf *conf, const struct conf_queue *queue,
    unsigned attempts)
{
	int64_t step, max;

	bounds_ms(conf, queue, &step, &max);
	for (; attempts > 1 && step < max; attempts--)
		step = step > max / 2 ? max : step * 2;
	return step;
}

const char *
retry_name(const struct conf_queue *queue, int64_t step_ms,
    char buf[RETRY_NAME_SIZE])
{
	if (step_ms <= 0)
		return mem_copy_string(buf, RETRY_NAME_SIZE, queue->name);
	if (step_ms % 1000 == 0)
		snprintf(buf, RETRY_NAME_SIZE, "%s" DELAY "%llds", queue->name,
		    (long long)step_ms / 1000);
	else
		snprintf(buf, RETRY_NAME_SIZE, "%s" DELAY "%lldms", queue->name,
		    (long long)step_ms);
	return buf;
}

const char *
retry_dead_name(const struct conf_queue *queue, char buf[RETRY_NAME_SIZE])
{
	snprintf(buf, RETRY_NAME_SIZE, "%s" DEAD, queue->name);
	return buf;
}

/* 0 for what retry_name() would not have written. */
static int64_t
parse_step(const char *text, size_t len)
{
	int64_t step = 0;
	size_t i = 0;

	for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		step = step * 10 + (text[i] - '0');
		if (step > LONGEST_MS)
			return 0;
	}
	if (i == 0 || text[0] == '0')
		return 0;
	if (len - i == 1 && text[i] == 's')
		return step <= LONGEST_MS / 1000 ? step * 1000 : 0;
	if (len - i == 2 && memcmp(text + i, "ms", 2) == 0)
		return step % 1000 != 0 ? step : 0;
	return 0;
}

/* What follows the queue's name: which of its queues is it? */
static bool
parse_suffix(const char *suffix, size_t len, enum retry_kind *kind,
    int64_t *step_ms)
{
	size_t head = sizeof(DELAY) - 1;

	*step_ms = 0;
	if (len == sizeof(DEAD) - 1 && memcmp(suffix, DEAD, len) == 0) {
		*kind = RETRY_DEAD;
		return true;
	}
	if (len <= head || memcmp(suffix, DELAY, head) != 0)
		return false;
	*kind = RETRY_DELAY;
	*step_ms = parse_step(suffix + head, len - head);
	return *step_ms > 0;
}

const struct conf_queue *
retry_parse_suffixed(const struct conf *conf, struct msg_bytes name,
    enum retry_kind *kind, int64_t *step_ms)
{
	const struct conf_queue *queue = conf->queue.v;
	const struct conf_queue *end = queue + conf->queue.n;

	for (; queue < end; queue++) {
		size_t len = queue->name != NULL ? strlen(queue->name) : 0;

		if (len > 0 && name.len > len &&
		    memcmp(name.p, queue->name, len) == 0 &&
		    parse_suffix(name.p + len, name.len - len, kind, step_ms))
			return queue;
	}
	return NULL;
}

const struct conf_queue *
retry_parse(const struct conf *conf, struct msg_bytes name,
    enum retry_kind *kind, int64_t *step_ms)
{
	size_t i = conf_find_queue(conf, name);

	if (i == conf->queue.n)
		return retry_parse_suffixed(conf, name, kind, step_ms);
	*kind = RETRY_WORK;
	*step_ms = 0;
	return &conf->queue.v[i];
}
