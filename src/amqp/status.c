/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - how it is with the broker.
 *
 * Everybody in this folder says that something changed; here it is looked at
 * once, at the end of the round, and each second, for rates and for how long it
 * has been so. The worst thing comes first, for it is one line that somebody
 * reads who was woken by it: no connection, half of one, an alarm of the
 * broker's, faults of the topology, messages that are stuck or held, a broker
 * that does not answer or confirm, and if it is none of these, that all is
 * well.
 */
#include "amqp/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/consume.h"
#include "amqp/look.h"
#include "amqp/publish.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"

/* The hub is told of changes so often at most. */
#define STATUS_TELL_NS (100 * NS_PER_MS)
#define STATUS_TICK_NS NS_PER_S

struct status {
	struct amqp *amqp;
	struct loop_timer tick;
	bool changed;
	int64_t told_ns;
	int64_t blocked_ns; /* since when; 0: it is not */
	const char *state;  /* of the last look, and since when */
	int64_t since_ns;
	bool trouble;
	char line[sizeof(((struct slot *)0)->note)];
	char noted[sizeof(((struct slot *)0)->note)];
};

/* Of conf->queue, all together. */
struct status_sum {
	unsigned consumed, unacked, stuck;
	const char *stuck_queue;
};

static void
status_sum(const struct status *status, struct status_sum *sum)
{
	const struct conf *conf = status->amqp->conf;
	struct consume_count count;

	memset(sum, 0, sizeof(*sum));
	for (size_t i = 0; i < conf->queue.n; i++) {
		consume_count(status->amqp->consume, i, &count);
		sum->consumed += count.consuming;
		sum->unacked += count.unsettled;
		sum->stuck += count.stuck;
		if (count.stuck > 0)
			sum->stuck_queue = conf->queue.v[i].name;
	}
}

/* "12 s", "5 min", "3 h", "2 days" */
static const char *
status_for(int64_t since_ns, char buf[32])
{
	long long s = (long long)((clock_now_ns() - since_ns) / NS_PER_S);

	if (s < 120)
		snprintf(buf, 32, "%lld s", s);
	else if (s < 7200)
		snprintf(buf, 32, "%lld min", s / 60);
	else if (s < 172800)
		snprintf(buf, 32, "%lld h", s / 3600);
	else
		snprintf(buf, 32, "%lld days", s / 86400);
	return buf;
}

static void status_say(struct status *status, const char *state, bool trouble,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
status_say(struct status *status, const char *state, bool trouble,
    const char *format, ...)
{
	va_list ap;

	if (status->state != state) {
		status->state = state;
		status->since_ns = clock_now_ns();
		status->changed = true;
	}
	status->trouble = trouble;
	va_start(ap, format);
	vsnprintf(status->line, sizeof(status->line), format, ap);
	va_end(ap);
}

/* Why a link is down, and when it is tried again. */
static void
status_link(const struct link *link, char *out, size_t size)
{
	char again[LINK_TEXT_SIZE], since[32];
	const char *named = strstr(link->why.text, link->where) != NULL ?
	    "" :
	    link->where;

	link_again_text(link, again);
	snprintf(out, size, "for %s: %s%s%s%s%s",
	    status_for(link->since_ns, since), named,
	    named[0] != '\0' ? ": " : "", link->why.text,
	    again[0] != '\0' ? "; next try " : "", again);
}

static const char *
status_connected(const struct status *status, char out[256])
{
	const struct link *link = consume_link(status->amqp->consume);
	char since[32];

	if (!link->up)
		link = publish_link(status->amqp->publish);
	snprintf(out, 256, "connected to %.120s (%.60s) for %s", link->where,
	    rabbit_server(link->rabbit), status_for(link->since_ns, since));
	return out;
}

/* Without the broker, or with half of it. */
static bool
status_look_down(struct status *status)
{
	const struct link *in = consume_link(status->amqp->consume);
	const struct link *out = publish_link(status->amqp->publish);
	char why[1200];

	if (in->up && out->up)
		return false;
	if (!in->up && in->why.text[0] == '\0') {
		status_say(status, "connecting", false, "connecting to %s",
		    in->where);
		return true;
	}
	status_link(in->up ? out : in, why, sizeof(why));
	if (!in->up && !out->up)
		status_say(status, "connecting", true, "no broker %s", why);
	else if (in->up && out->why.text[0] == '\0')
		status_say(status, "connecting", false,
		    "consumes; connecting to %s to publish", out->where);
	else
		status_say(status, "connecting", true,
		    "%s; the connection for %s is down %s",
		    in->up ? "consumes" : "publishes",
		    in->up ? "publishing" : "consuming", why);
	return true;
}

static bool
status_look_blocked(struct status *status, const struct publish_count *publish)
{
	char since[32], connected[256];

	if (!publish->blocked) {
		status->blocked_ns = 0;
		return false;
	}
	if (status->blocked_ns == 0)
		status->blocked_ns = clock_now_ns();
	status_say(status, "blocked", true,
	    "blocked by the broker for %s: %s (an alarm of its own: it takes "
	    "no messages until it is over); %s",
	    status_for(status->blocked_ns, since), publish->blocked_why,
	    status_connected(status, connected));
	return true;
}

static bool
status_look_faults(struct status *status, const struct publish_count *publish,
    const struct status_sum *sum)
{
	const struct topology *topology = status->amqp->topology;
	const struct link *look = look_link(status->amqp->look);
	const char *fault = topology_fault(topology, 0);
	const char *slow = consume_slow(status->amqp->consume);
	char connected[256], more[40] = "", since[32];
	size_t n = 0;

	status_connected(status, connected);
	while (topology_fault(topology, n) != NULL)
		n++;
	if (n > 1)
		snprintf(more, sizeof(more), " (and %zu more)", n - 1);
	if (fault != NULL)
		status_say(status, "fault", true, "%s%s", fault, more);
	else if (sum->stuck > 0)
		status_say(status, "fault", true,
		    "queue \"%s\": larger than hub.max_message, and left "
		    "unacknowledged, for the broker has no dead-letter "
		    "exchange for the queue: %u message%s; %s",
		    sum->stuck_queue, sum->stuck, sum->stuck == 1 ? "" : "s",
		    connected);
	else if (publish->held_why[0] != '\0')
		status_say(status, "fault", true, "messages are held: %s; %s",
		    publish->held_why, connected);
	else if (!look->up && look->why.text[0] != '\0')
		status_say(status, "fault", true,
		    "%s, but it does not answer: %s", connected,
		    look->why.text);
	else if (publish->stalled_ns > status->amqp->conf->amqp.timeout)
		status_say(status, "fault", true,
		    "the broker has confirmed none of %u messages under way "
		    "for %s: a queue that has lost its majority, or a slow "
		    "disk; %s",
		    publish->under_way,
		    status_for(clock_now_ns() - publish->stalled_ns, since),
		    connected);
	else if (slow != NULL)
		status_say(status, "fault", true, "%s; %s", slow, connected);
	else
		return false;
	return true;
}

/* Many bindings take their time. */
static bool
status_look_binding(struct status *status)
{
	const struct topology *topology = status->amqp->topology;
	size_t made, all = topology_bindings(topology, &made);
	char connected[256];

	if (topology_is_bound(topology))
		return false;
	status_say(status, "connecting", false,
	    "%s, publishes when the bindings that handlers made are there: "
	    "%zu of %zu",
	    status_connected(status, connected), made, all);
	return true;
}

static void
status_look(struct status *status)
{
	struct publish_count publish;
	struct status_sum sum;
	char connected[256];

	publish_count(status->amqp->publish, &publish);
	status_sum(status, &sum);
	if (!topology_ready(status->amqp->topology))
		status_say(status, "connecting", false, "waits for the hub");
	else if (status->amqp->draining)
		status_say(status, "draining", false,
		    "draining, %u unacked, %u to be confirmed", sum.unacked,
		    publish.under_way);
	else if (!status_look_down(status) &&
	    !status_look_blocked(status, &publish) &&
	    !status_look_binding(status) &&
	    !status_look_faults(status, &publish, &sum))
		status_say(status, "connected", false,
		    "%s, consumes %u queue%s, %u unacked",
		    status_connected(status, connected), sum.consumed,
		    sum.consumed == 1 ? "" : "s", sum.unacked);
}

static void
status_show(struct status *status)
{
	status_look(status);
	if (strcmp(status->line, status->noted) == 0)
		return;
	memcpy(status->noted, status->line, sizeof(status->line));
	slot_set_note(status->amqp->child->slot, status->trouble, status->line);
}

static void
status_tell(struct status *status, int64_t now_ns)
{
	status->changed = false;
	status->told_ns = now_ns;
	publish_tell(status->amqp->publish);
}

static void
status_on_tick(void *ctx)
{
	struct status *status = ctx;
	int64_t now_ns = clock_now_ns();

	consume_tick(status->amqp->consume, now_ns);
	status_show(status);
	if (topology_ready(status->amqp->topology) &&
	    (status->changed ||
		now_ns - status->told_ns >= status->amqp->conf->amqp.refresh))
		status_tell(status, now_ns);
	loop_timer_set(status->amqp->loop, &status->tick,
	    now_ns + STATUS_TICK_NS);
}

void
status_changed(struct status *status)
{
	status->changed = true;
}

void
status_turn(struct status *status)
{
	int64_t now_ns;

	if (!status->changed)
		return;
	now_ns = clock_now_ns();
	/* the tick has what comes sooner */
	if (now_ns - status->told_ns < STATUS_TELL_NS)
		return;
	status_show(status);
	if (topology_ready(status->amqp->topology))
		status_tell(status, now_ns);
}

struct status *
status_new(struct amqp *amqp)
{
	struct status *status = mem_alloc(sizeof(*status));

	status->amqp = amqp;
	status->changed = true;
	status->state = "connecting";
	status->since_ns = clock_now_ns();
	loop_timer_init(&status->tick, status_on_tick, status);
	loop_timer_set(amqp->loop, &status->tick,
	    clock_now_ns() + STATUS_TICK_NS);
	return status;
}

void
status_free(struct status *status)
{
	loop_timer_cancel(status->amqp->loop, &status->tick);
	free(status);
}

/* -------------------------------------------------------------------- JSON */

/* Texts of the broker's may be anything, and a cut one may end anywhere. */
static json_t *
status_text(const char *text)
{
	char clean[WHY_SIZE];
	json_t *json = json_string(text);

	if (json != NULL)
		return json;
	mem_copy_string(clean, sizeof(clean), text);
	for (char *p = clean; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(clean);
}

static json_t *
status_queue(struct status *status, size_t queue)
{
	const char *fault = topology_queue_trouble(status->amqp->topology,
	    queue);
	struct consume_count count;
	json_t *json;

	consume_count(status->amqp->consume, queue, &count);
	json = json_pack(
	    "{s:o, s:b, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I}",
	    "name", status_text(status->amqp->conf->queue.v[queue].name),
	    "consuming", count.consuming, "ready", (json_int_t)count.ready,
	    "unacked", (json_int_t)count.unsettled, "consumers",
	    (json_int_t)count.consumers, "rate", count.rate, "prefetch",
	    (json_int_t)count.prefetch, "delivered",
	    (json_int_t)count.delivered, "redelivered",
	    (json_int_t)count.redelivered, "acked", (json_int_t)count.acked,
	    "retried", (json_int_t)count.retried, "dead",
	    (json_int_t)(count.dead + count.rejected), "seen",
	    (json_int_t)count.seen, "stuck", (json_int_t)count.stuck);
	if (json != NULL && fault != NULL)
		json_object_set_new(json, "fault", status_text(fault));
	return json;
}

json_t *
status_json(struct status *status)
{
	const struct link *link = consume_link(status->amqp->consume);
	json_t *queues = json_array(), *json;
	struct publish_count publish;

	status_look(status);
	if (!link->up)
		link = publish_link(status->amqp->publish);
	publish_count(status->amqp->publish, &publish);
	for (size_t i = 0; i < status->amqp->conf->queue.n; i++)
		json_array_append_new(queues, status_queue(status, i));
	json = json_pack(
	    "{s:o, s:o, s:s, s:f, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "broker", status_text(link->where), "server",
	    status_text(link->up ? rabbit_server(link->rabbit) : ""), "state",
	    status->state, "since",
	    clock_to_seconds(clock_now_ns() - status->since_ns), "trouble",
	    status->trouble, "line", status_text(status->line), "queues",
	    queues, "published", (json_int_t)publish.published, "confirmed",
	    (json_int_t)publish.confirmed, "returned",
	    (json_int_t)publish.returned, "held", (json_int_t)publish.held,
	    "under_way", (json_int_t)publish.under_way, "window",
	    (json_int_t)publish.window);
	if (json != NULL && publish.last_return[0] != '\0')
		json_object_set_new(json, "last_return",
		    status_text(publish.last_return));
	if (json != NULL && publish.held_why[0] != '\0')
		json_object_set_new(json, "held_why",
		    status_text(publish.held_why));
	return json;
}
