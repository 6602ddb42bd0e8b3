/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_request - brood_request(): a message and its answer, by the broker's
 * direct reply-to.
 *
 * The message is stored as any other, and its job has the message's own uid. A
 * request that comes again, for the hub before us has died, is not published
 * again; if it was answered meanwhile, the answer is in the store. Over a
 * broker: work_answer.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "brood.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/broker.h"
#include "hub/effects.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

void
direct_free(struct direct *direct)
{
	struct hub *hub = direct->hub;

	HASH_DEL(hub->work->directs, direct);
	loop_timer_cancel(hub->loop, &direct->timer);
	free(direct->publish);
	free(direct);
}

void
directs_free(struct hub *hub)
{
	struct direct *direct = NULL, *next;

	HASH_ITER(hh, hub->work->directs, direct, next)
	{
		direct_free(direct);
	}
}

struct direct *
direct_find(struct hub *hub, uint64_t uid)
{
	struct direct *direct;

	HASH_FIND(hh, hub->work->directs, &uid, sizeof(uid), direct);
	return direct;
}

bool
direct_parse(struct msg_bytes address, uint64_t *uid)
{
	char text[UID_TEXT_SIZE];
	size_t prefix = strlen(DIRECT_ADDRESS);
	uint64_t token;

	if (address.len != prefix + sizeof(text) - 1 ||
	    !msg_begins(address, DIRECT_ADDRESS))
		return false;
	memcpy(text, address.p + prefix, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return uid_parse(text, uid, &token);
}

bool
work_answer_request(struct hub *hub, uint64_t uid,
    const struct msg_RESULT *result)
{
	struct direct *direct = direct_find(hub, uid);
	struct peer *peer;

	if (direct == NULL)
		return false;
	if (result != NULL) {
		hub->sync |= work_is_durable(hub);
		peer = peers_find(hub, direct->session);
		if (peer != NULL)
			peer_send(peer, MSG_RESULT, direct->request, result);
		direct_free(direct);
	}
	return true;
}

static void
direct_on_time(void *ctx)
{
	struct direct *direct = ctx;
	struct why why = { "no answer in time" };

	hub_tick(direct->hub);
	/* it has not left us: why not */
	if (direct->publish != NULL)
		broker_publisher(direct->hub, &why);
	work_answer(direct->hub, direct->session, direct->request, HUB_TIMEOUT,
	    why.text);
	direct_free(direct);
}

struct direct *
direct_add(struct hub *hub, uint64_t uid, struct peer *peer, uint32_t request,
    int64_t deadline_ns)
{
	struct direct *direct = direct_find(hub, uid);

	if (direct == NULL) {
		direct = mem_alloc(sizeof(*direct));
		direct->hub = hub;
		direct->uid = uid;
		loop_timer_init(&direct->timer, direct_on_time, direct);
		HASH_ADD(hh, hub->work->directs, uid, sizeof(uid), direct);
	}
	direct->session = peer->session;
	direct->request = request;
	direct->deadline_ns = deadline_ns;
	loop_timer_set(hub->loop, &direct->timer, deadline_ns);
	return direct;
}

bool
directs_are_full(struct hub *hub, struct why *why)
{
	int most = hub->conf->tasks.max_waiting;

	if (HASH_COUNT(hub->work->directs) < (unsigned)most)
		return false;
	why_set(why, "%d requests wait (tasks.max_waiting)", most);
	return true;
}

/* The answer of a request that comes again. */
static bool
request_replay(struct hub *hub, struct peer *peer, uint32_t request,
    uint64_t uid)
{
	struct msg_RESULT result;
	struct stored_job stored;
	union msg msg;
	bool answered = false;

	if (!store_find_job(hub->store, uid, &stored))
		return false;
	if (job_is_finished(stored.job.state) &&
	    work_decode((struct msg_bytes){ stored.done, stored.done_len },
		MSG_DONE, &msg) == 0) {
		result = work_result(&msg.DONE);
		peer_send(peer, MSG_RESULT, request, &result);
		answered = true;
	}
	stored_job_release(&stored);
	return answered;
}

static enum hub_code
request_publish(struct hub *hub, const struct msg_PUBLISH *said,
    struct why *why)
{
	struct msg_PUBLISH publish = *said;
	struct effects_result result;
	char address[sizeof(DIRECT_ADDRESS) + UID_TEXT_SIZE] = DIRECT_ADDRESS;
	struct buf parts;
	enum hub_code code;

	uid_format(publish.uid, 1, address + strlen(DIRECT_ADDRESS));
	publish.reply_to = msg_text(address);
	publish.mandatory = 1;
	buf_init(&parts, SIZE_MAX - 1);
	msg_encode(&parts, MSG_PUBLISH, 0, &publish);
	code = effects_apply(hub, (struct msg_bytes){ parts.data, parts.len },
	    EFFECTS_NEW, &result, why);
	buf_release(&parts);
	return code;
}

HUB_ON(REQUEST)
{
	struct why why = { "" };
	enum hub_code code;
	union msg part;

	if (work_decode(msg->publish, MSG_PUBLISH, &part) < 0 ||
	    part.PUBLISH.uid == 0) {
		peer_fail(peer, request, HUB_BAD, "a request is one message");
		return;
	}
	if (hub->broker != NULL) {
		request_send(hub, peer, request, &part.PUBLISH,
		    msg->deadline_ns);
		return;
	}
	if (jobs_find(hub->work->jobs, part.PUBLISH.uid) == NULL) {
		if (request_replay(hub, peer, request, part.PUBLISH.uid))
			return;
		if (directs_are_full(hub, &why)) {
			peer_fail(peer, request, HUB_FULL, "%s", why.text);
			return;
		}
		code = request_publish(hub, &part.PUBLISH, &why);
		if (code != HUB_OK) {
			peer_fail(peer, request, code, "%s", why.text);
			return;
		}
		hub->sync |= work_is_durable(hub);
	}
	direct_add(hub, part.PUBLISH.uid, peer, request, msg->deadline_ns);
}
