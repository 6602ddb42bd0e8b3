/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub - the role: sets the parts up in an order in which each finds what it
 * needs, and turns the loop's rounds into transactions.
 *
 * A round's handlers have changed memory, written to the redo file and to the
 * store's open transaction, and queued replies. hub_turn(), which runs before
 * the loop sleeps, commits, and only then sends. What sending brings about
 * (peers that turn out to be gone) belongs to the next turn, which then comes
 * without a sleep.
 *
 * A drain finishes the turn and ends: workers bring what they are doing to the
 * next hub, and clients ask it again. Before that, what a broker has been sent
 * is waited for, amqp.timeout at most, for the next hub would send it again;
 * everybody is served as ever meanwhile.
 */
#include "hub/hub.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/broker.h"
#include "hub/desk.h"
#include "hub/dispatch.h"
#include "hub/exchange.h"
#include "hub/keys.h"
#include "hub/lock.h"
#include "hub/outbox.h"
#include "hub/peer.h"
#include "hub/schedule.h"
#include "hub/seen.h"
#include "hub/store.h"
#include "hub/watch.h"
#include "hub/work.h"

#define HUB_LINGER_NS (15 * NS_PER_US)
#define HUB_VAIN_MAX 8	/* 256 turns without it */
#define HUB_STEP_MS 500 /* the wall clock was set, and did not drift */

struct hub_main {
	struct hub hub;
	int64_t wall_offset_ms; /* of the wall clock to the monotonic one */
	/* hub_lingers()'s */
	uint64_t frames;   /* seen so far */
	int64_t linger_ns; /* until then; 0: not now */
	unsigned in_vain;  /* in a row */
	unsigned skip;	   /* turns before the next try */
	bool alone;	   /* on one processor there is nobody to wait for */
	bool ending;	   /* and drains when the outbox is quiet */
	struct loop_timer patience;
	bool drained;
};

static void
hub_check(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors)
{
	char path[CONF_PATH_SIZE];
	struct why why;

	(void)modules;
	exchanges_check(conf, errors);
	schedules_check(conf, errors);
	if (store_check(conf_hub_store(conf, path), &why) == -1)
		conf_errors_add(errors, "%s", why.text);
	if (keys_check(conf, &why) == -1)
		conf_errors_add(errors, "%s", why.text);
}

/* ------------------------------------------------------------------ turns */

/* How far the wall clock is from one that nobody sets, and that goes on while
 * the machine sleeps. */
static int64_t
hub_wall_offset_ms(const struct hub *hub)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return hub->wall_ms -
	    ((int64_t)boot.tv_sec * 1000 + boot.tv_nsec / NS_PER_MS);
}

void
hub_tick(struct hub *hub)
{
	struct hub_main *main = (struct hub_main *)hub;
	int64_t by_ms = 0;

	if (hub->now_ns == loop_now(hub->loop))
		return;
	hub->now_ns = loop_now(hub->loop);
	/* a step is there when we look again, a pause between two clocks not */
	for (int i = 0; i < 3; i++) {
		hub->wall_ms = clock_wall_ns() / NS_PER_MS;
		by_ms = hub_wall_offset_ms(hub) - main->wall_offset_ms;
		if (llabs(by_ms) <= HUB_STEP_MS)
			break;
	}
	main->wall_offset_ms += by_ms;
	if (llabs(by_ms) <= HUB_STEP_MS)
		return;
	keys_clock(hub, by_ms);
	work_clock(hub, by_ms);
	schedules_clock(hub);
}

static void
hub_commit(struct hub *hub)
{
	store_commit(hub->store, hub->sync);
	hub->sync = false;
	hub->data_uncommitted = false;
	keys_committed(hub);
}

/*
 * Whoever is answered often asks again at once. To look for that a moment
 * longer costs less than to be woken for it, which costs the client as much.
 * When it was in vain it is tried less and less often, so that on a machine
 * that is busy with other things it costs next to nothing.
 */
static bool
hub_lingers(struct hub_main *main)
{
	bool more = main->hub.frames != main->frames;

	main->frames = main->hub.frames;
	if (main->alone || (!more && main->linger_ns == 0))
		return false;
	if (!more && clock_now_ns() < main->linger_ns)
		return true;
	if (!more) {
		main->linger_ns = 0;
		if (main->in_vain < HUB_VAIN_MAX)
			main->in_vain++;
		main->skip = 1U << main->in_vain;
		return false;
	}
	if (main->linger_ns != 0)
		main->in_vain = 0;
	if (main->linger_ns == 0 && main->skip > 0 && main->skip-- > 1)
		return false;
	main->linger_ns = clock_now_ns() + HUB_LINGER_NS;
	return true;
}

static void
hub_leave(struct hub_main *main)
{
	main->hub.draining = true;
	peers_drain(&main->hub);
	dispatch_drain(&main->hub);
}

static void
hub_on_patience(void *ctx)
{
	struct hub_main *main = ctx;
	struct outbox_count count;

	if (main->hub.draining)
		return;
	outbox_count(&main->hub, &count);
	log_notice("the broker has not confirmed %zu messages within "
		   "amqp.timeout; the next hub sends them again, under the "
		   "same ids",
	    count.under_way);
	hub_leave(main);
}

static int64_t
hub_turn(void *ctx)
{
	struct hub_main *main = ctx;
	struct hub *hub = &main->hub;
	int64_t at_ns;

	hub_tick(hub);
	if (main->ending && !hub->draining && outbox_is_quiet(hub))
		hub_leave(main);
	peers_turn(hub);
	work_turn(hub);
	at_ns = keys_turn(hub);
	hub_commit(hub);
	outbox_turn(hub);
	peers_flush(hub);
	desk_flush(hub);
	store_tidy(hub->store);

	if (hub->draining && !main->drained) {
		main->drained = true;
		child_drained(hub->child);
	}
	if (peers_busy(hub) || store_is_open(hub->store) || hub_lingers(main))
		return 0;
	return at_ns;
}

/* The store refused: the turn is lost, and nobody was told of it. */
static void
hub_on_store_failure(void *ctx, int exit_status, const char *reason)
{
	struct hub *hub = ctx;

	child_fail(hub->child, exit_status, "%s", reason);
}

/* --------------------------------------------------------- start and end */

static int
hub_on_binding(void *ctx, const char *queue, const char *exchange,
    const char *key, bool on)
{
	struct hub *hub = ctx;
	struct why why;

	if (exchanges_bind(hub->exchanges, msg_text(queue), msg_text(exchange),
		msg_text(key), on, &why) == -1)
		log_warning("a stored binding of queue %s to exchange %s is "
			    "left out: %s",
		    queue, exchange, why.text);
	return 0;
}

static int
hub_on_left(void *ctx, uint64_t seq, uint64_t uid, int64_t wall_ms, size_t len)
{
	(void)seq, (void)uid, (void)wall_ms, (void)len;
	*(size_t *)ctx += 1;
	return 0;
}

/* A thousand clients need a thousand descriptors. */
static void
hub_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Messages are a broker's business; or there may be some left for it. */
static int
hub_init_broker(struct hub *hub, struct why *why)
{
	if (conf_has_broker(hub->conf))
		return broker_start(hub, why) == -1 ||
			outbox_start(hub, why) == -1 ||
			seen_start(hub, why) == -1 ?
		    -1 :
		    0;
	store_each_outbox(hub->store, hub_on_left, &hub->left);
	if (hub->left > 0)
		log_warning("%zu messages in the store wait for a broker, and "
			    "there is none now (amqp.broker): they wait on",
		    hub->left);
	return 0;
}

static int
hub_init(struct child *child, struct why *why)
{
	struct hub_main *main = mem_alloc(sizeof(*main));
	struct hub *hub = &main->hub;
	char path[CONF_PATH_SIZE];

	child->role_data = main;
	loop_timer_init(&main->patience, hub_on_patience, main);
	hub->child = child;
	hub->conf = child->conf;
	hub->loop = &child->loop;
	hub->now_ns = loop_now(hub->loop);
	hub->wall_ms = clock_wall_ns() / NS_PER_MS;
	main->wall_offset_ms = hub_wall_offset_ms(hub);
	main->alone = sysconf(_SC_NPROCESSORS_ONLN) < 2;
	hub_raise_descriptors();

	hub->store = store_open(conf_hub_store(hub->conf, path), hub->conf,
	    why);
	if (hub->store == NULL)
		return -1;
	store_on_failure(hub->store, hub_on_store_failure, hub);
	if (keys_start(hub, why) == -1)
		return -1;
	hub->locks = locks_new(hub);
	hub->watches = watches_new();
	hub->exchanges = exchanges_new(hub->conf);
	store_each_binding(hub->store, hub_on_binding, hub);
	if (hub_init_broker(hub, why) == -1 || work_start(hub, why) == -1 ||
	    dispatch_start(hub, why) == -1 || schedules_start(hub, why) == -1 ||
	    peers_start(hub, why) == -1)
		return -1;

	hub->loop->before_wait = hub_turn;
	hub->loop->before_wait_ctx = main;
	return 0;
}

static void
hub_drain(struct child *child)
{
	struct hub_main *main = child->role_data;
	int64_t most = child->conf->service.stop_timeout / 10 * 8;

	main->ending = true;
	outbox_drain(&main->hub);
	if (most > child->conf->amqp.timeout)
		most = child->conf->amqp.timeout;
	loop_timer_set(&child->loop, &main->patience, clock_now_ns() + most);
}

static void
hub_control(struct child *child, int fd)
{
	struct hub_main *main = child->role_data;

	hub_tick(&main->hub);
	desk_open(&main->hub, fd);
}

static void
hub_death(struct child *child)
{
	struct hub_main *main = child->role_data;

	hub_tick(&main->hub);
	lock_on_deaths(&main->hub);
	dispatch_on_deaths(&main->hub);
}

static void
hub_fini(struct child *child)
{
	struct hub_main *main = child->role_data;
	struct hub *hub = &main->hub;

	hub->loop->before_wait = NULL;
	loop_timer_cancel(hub->loop, &main->patience);
	schedules_stop(hub);
	desk_stop(hub);
	dispatch_stop(hub);
	peers_stop(hub);
	work_stop(hub);
	outbox_stop(hub);
	broker_stop(hub);
	seen_stop(hub);
	exchanges_free(hub->exchanges);
	watches_free(hub->watches);
	locks_free(hub->locks);
	keys_stop(hub);
	store_close(hub->store);
	free(main);
	child->role_data = NULL;
}

const struct role hub_role = {
	.check = hub_check,
	.init = hub_init,
	.drain = hub_drain,
	.control = hub_control,
	.death = hub_death,
	.fini = hub_fini,
};
