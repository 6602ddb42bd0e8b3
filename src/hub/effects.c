/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effects - what a call sends with its success: looked at as a whole, then done
 * as a whole.
 *
 * First the questions that change nothing: do the keys still have their
 * versions, is there room, do the messages find a queue. Then, in their order,
 * what can be taken back: bindings and data. If one of those fails (two parts
 * of one call may not go together), the ones before it are taken back, and
 * nothing was done. Only then messages and jobs, which cannot fail any more,
 * and the store, which does not.
 *
 * A later message of a call sees its earlier bindings.
 *
 * With a broker, messages and bindings go to the outbox: there must be room in
 * it, and the exchange must be one of the config's. Whether a queue takes a
 * message is not known before the broker has it.
 */
#include "hub/effects.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/effects_impl.h"
#include "hub/exchange.h"
#include "hub/keys.h"
#include "hub/outbox.h"
#include "hub/peer.h"
#include "hub/watch.h"
#include "hub/work.h"

#define PARTS                                                          \
	(MSG_ID_BIT(PUBLISH) | MSG_ID_BIT(SUBMIT) | MSG_ID_BIT(BIND) | \
	    MSG_ID_BIT(SET) | MSG_ID_BIT(INCR) | MSG_ID_BIT(DELETE) |  \
	    MSG_ID_BIT(EXPECT))
/* of AMQP's short strings */
#define MAX_BINDING_KEY 255
#define DATA_PARTS (MSG_ID_BIT(SET) | MSG_ID_BIT(INCR) | MSG_ID_BIT(DELETE))

/* A change of data or a binding that can be taken back. */
struct undo {
	bool bind;
	struct data_value was; /* version 0: there was none. bytes is ours */
	struct msg_BIND said;
	enum exchange_said before;
};

struct effects {
	struct hub *hub;
	enum effects_from from;
	struct msg_bytes parts;
	size_t n;
	struct undo *undo;
	size_t undos;
	size_t *queue;		 /* scratch: where a message goes */
	size_t *promised;	 /* messages for each queue */
	size_t added;		 /* jobs and messages */
	size_t sent, sent_bytes; /* to the broker */
};

/* --- the questions */

static enum hub_code
check_publish(struct effects *effects, const struct msg_PUBLISH *publish,
    struct why *why)
{
	struct hub *hub = effects->hub;
	struct msg_SUBMIT submit;
	struct work_new new = { JOB_MESSAGE, 0, &submit, NULL };
	enum hub_code code = HUB_OK;
	struct buf attrs;
	uint64_t uid;
	int n;

	if (hub->outbox != NULL)
		return publish_check(hub, publish, effects->queue,
		    ++effects->sent, &effects->sent_bytes, why);
	if (publish_is_direct(publish, &uid))
		n = work_answer_request(hub, uid, NULL) ? 1 : 0;
	else
		n = exchanges_route(hub->exchanges, publish->exchange,
		    publish->key, effects->queue, why);
	if (n < 0)
		return HUB_NOT_FOUND;
	if (n == 0 && publish->mandatory) {
		why_set(why,
		    "no queue takes a message to exchange \"%.*s\" with key "
		    "\"%.*s\"",
		    (int)publish->exchange.len, publish->exchange.p,
		    (int)publish->key.len, publish->key.p);
		return HUB_UNROUTABLE;
	}
	if (publish_is_direct(publish, &uid))
		return HUB_OK;
	buf_init(&attrs, SIZE_MAX - 1);
	for (int i = 0; i < n && code == HUB_OK; i++) {
		size_t queue = effects->queue[i];

		new.queue = (ptrdiff_t)queue;
		publish_job(hub, publish, queue, &attrs, &submit);
		code = work_would_add(hub, &new, effects->added,
		    effects->promised[queue], why);
		effects->added++;
		effects->promised[queue]++;
	}
	buf_release(&attrs);
	return code;
}

static enum hub_code
check_submit(struct effects *effects, const struct msg_SUBMIT *submit,
    struct why *why)
{
	struct work_new new = { JOB_SUBMITTED, -1, submit, NULL };
	struct job *job = jobs_find(work_jobs(effects->hub), submit->uid);

	/* the same job again is no new one; another one with its number is to
	 * get a new one, by running the handler again */
	if (job != NULL) {
		if (job->token == submit->token)
			return HUB_OK;
		why_set(why, "the job's number is taken");
		return HUB_CONFLICT;
	}
	return work_would_add(effects->hub, &new, effects->added++, 0, why);
}

static enum hub_code
check_expect(struct effects *effects, const struct msg_EXPECT *expect,
    struct why *why)
{
	struct hub *hub = effects->hub;
	const struct data_value *value = data_find(hub->data, expect->key,
	    hub->wall_ms);

	if ((value != NULL ? value->version : 0) == expect->version)
		return HUB_OK;
	why_set(why, "%.*s has changed meanwhile",
	    (int)(expect->key.len < 200 ? expect->key.len : 200),
	    expect->key.p);
	return HUB_CONFLICT;
}

/* What needs no undoing: before anything is done. */
static enum hub_code
effects_expect(struct effects *effects, struct why *why)
{
	enum hub_code code = HUB_OK;
	enum msg_id id;
	union msg msg;
	size_t at = 0;
	int n;

	while ((n = msg_part(effects->parts, &at, PARTS, &id, &msg, why)) > 0) {
		if (++effects->n >
		    (size_t)effects->hub->conf->tasks.max_effects) {
			why_set(why,
			    "more than %d messages, jobs and changes "
			    "(tasks.max_effects)",
			    effects->hub->conf->tasks.max_effects);
			return HUB_TOO_LARGE;
		}
		if (id == MSG_EXPECT && code == HUB_OK)
			code = check_expect(effects, &msg.EXPECT, why);
	}
	return n < 0 ? HUB_BAD : code;
}

/* --- what can be taken back */

static void
undo_note(struct effects *effects, struct msg_bytes key)
{
	struct hub *hub = effects->hub;
	const struct data_value *value = data_find(hub->data, key,
	    hub->wall_ms);
	struct undo *undo = &effects->undo[effects->undos++];
	char *bytes = NULL;

	*undo = (struct undo){ 0 };
	if (value != NULL) {
		undo->was = *value;
		bytes = mem_alloc(value->len + 1);
		if (value->len > 0)
			memcpy(bytes, value->bytes, value->len);
	}
	undo->was.bytes = bytes;
	/* the part's bytes live as long as we do */
	undo->was.key = key.p;
	undo->was.key_len = key.len;
}

static void
undo_one(struct effects *effects, const struct undo *undo)
{
	struct hub *hub = effects->hub;

	if (undo->bind)
		exchanges_unsay(hub->exchanges, undo->said.queue,
		    undo->said.exchange, undo->said.key, undo->before);
	else
		data_load(hub->data, &undo->was);
}

static void
effects_release(struct effects *effects, bool back)
{
	while (effects->undos > 0) {
		struct undo *undo = &effects->undo[--effects->undos];

		if (back)
			undo_one(effects, undo);
		free((char *)undo->was.bytes);
	}
	free(effects->undo);
	free(effects->queue);
	free(effects->promised);
}

static enum hub_code
try_bind(struct effects *effects, const struct msg_BIND *bind, struct why *why)
{
	struct hub *hub = effects->hub;
	int most = hub->conf->amqp.max_bindings, n;
	enum exchange_said before;

	if (bind->key.len > MAX_BINDING_KEY) {
		why_set(why, "a binding's key has at most %d bytes",
		    MAX_BINDING_KEY);
		return HUB_TOO_LARGE;
	}
	before = exchanges_said(hub->exchanges, bind->queue, bind->exchange,
	    bind->key);
	n = exchanges_bind(hub->exchanges, bind->queue, bind->exchange,
	    bind->key, bind->on != 0, why);
	if (n < 0)
		return HUB_NOT_FOUND;
	if (n > 0)
		effects->undo[effects->undos++] = (struct undo){
			.bind = true,
			.said = *bind,
			.before = before,
		};
	if (n > 0 && bind->on != 0 &&
	    exchanges_bound(hub->exchanges) > (size_t)most) {
		why_set(why,
		    "handlers have made %d bindings "
		    "(amqp.max_bindings)",
		    most);
		return HUB_FULL;
	}
	return HUB_OK;
}

static enum hub_code
try_data(struct effects *effects, enum msg_id id, const union msg *msg,
    struct why *why)
{
	struct hub *hub = effects->hub;
	struct data_change change = { 0 };

	switch (id) {
	case MSG_SET:
		undo_note(effects, msg->SET.key);
		data_set(hub->data, &msg->SET, hub->wall_ms, &change);
		break;
	case MSG_INCR:
		undo_note(effects, msg->INCR.key);
		data_incr(hub->data, &msg->INCR, hub->wall_ms, &change);
		break;
	default:
		undo_note(effects, msg->DELETE.key);
		data_delete(hub->data, &msg->DELETE, hub->wall_ms, &change);
		break;
	}
	if (change.code != HUB_OK) {
		why_set(why, "%s", change.why != NULL ? change.why : "refused");
		return change.code;
	}
	if (change.done || id == MSG_INCR)
		return HUB_OK;
	/* to delete what is not there is no conflict */
	if (id == MSG_DELETE && msg->DELETE.only == DATA_ANY)
		return HUB_OK;
	why_set(why, "a condition of a change does not hold any more");
	return HUB_CONFLICT;
}

static enum hub_code
effects_try(struct effects *effects, struct why *why)
{
	enum hub_code code = HUB_OK;
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (code == HUB_OK &&
	    msg_part(effects->parts, &at, PARTS, &id, &msg, NULL) > 0) {
		if (id == MSG_BIND)
			code = try_bind(effects, &msg.BIND, why);
		else if (id == MSG_PUBLISH)
			code = check_publish(effects, &msg.PUBLISH, why);
		else if (id == MSG_SUBMIT)
			code = check_submit(effects, &msg.SUBMIT, why);
		else if (id != MSG_EXPECT)
			code = try_data(effects, id, &msg, why);
	}
	return code;
}

/* --- for good */

/* A key may have changed twice: what it is now is stored twice. */
static void
keep_data(struct effects *effects, const struct undo *undo)
{
	struct hub *hub = effects->hub;
	struct msg_bytes key = { undo->was.key, undo->was.key_len };
	const struct data_value *now = data_find(hub->data, key, hub->wall_ms);
	struct data_change change = {
		.done = now != NULL || undo->was.version != 0,
		.durability = data_durability(hub->data, key),
		.now = { .key = key.p, .key_len = key.len },
	};

	if (now != NULL)
		change.now = *now;
	keys_keep(hub, &change);
}

static void
keep_bind(struct hub *hub, const struct msg_BIND *bind)
{
	char *queue = msg_string(bind->queue);
	char *exchange = msg_string(bind->exchange);
	char *key = msg_string(bind->key);

	store_put_binding(hub->store, queue, exchange, key, bind->on != 0);
	if (hub->outbox != NULL)
		outbox_bind(hub, bind);
	free(queue);
	free(exchange);
	free(key);
}

static void
keep_work(struct effects *effects, enum msg_id id, const union msg *msg,
    struct effects_result *result)
{
	struct hub *hub = effects->hub;
	struct work_new new = { JOB_SUBMITTED, -1, &msg->SUBMIT, NULL };
	size_t n;

	if (id == MSG_PUBLISH && hub->outbox != NULL) {
		outbox_publish(hub, &msg->PUBLISH);
		result->published++;
	} else if (id == MSG_PUBLISH) {
		n = publish_all(hub, &msg->PUBLISH, false, effects->queue);
		result->published += n;
		if (n == 0) {
			result->unroutable++;
			publish_lost(&msg->PUBLISH);
		}
	} else {
		work_add(hub, &new, &result->uid, &result->token,
		    &result->existing);
		result->submitted++;
	}
}

static void
effects_keep(struct effects *effects, struct effects_result *result)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	for (size_t i = 0; i < effects->undos; i++) {
		if (effects->undo[i].bind)
			keep_bind(effects->hub, &effects->undo[i].said);
		else
			keep_data(effects, &effects->undo[i]);
	}
	while (msg_part(effects->parts, &at, PARTS, &id, &msg, NULL) > 0)
		if (id == MSG_PUBLISH || id == MSG_SUBMIT)
			keep_work(effects, id, &msg, result);
}

enum hub_code
effects_apply(struct hub *hub, struct msg_bytes parts, enum effects_from from,
    struct effects_result *result, struct why *why)
{
	struct effects effects = { .hub = hub, .from = from, .parts = parts };
	const char *why_not;
	enum hub_code code;

	memset(result, 0, sizeof(*result));
	if (from == EFFECTS_NEW && !store_has_room(hub->store, &why_not)) {
		why_set(why, "%s", why_not);
		return HUB_NO_SPACE;
	}
	code = effects_expect(&effects, why);
	if (code != HUB_OK)
		return code;
	effects.undo = mem_array(effects.n + 1, sizeof(*effects.undo));
	effects.queue = mem_array(hub->conf->queue.n + 1,
	    sizeof(*effects.queue));
	effects.promised = mem_array(hub->conf->queue.n + 1,
	    sizeof(*effects.promised));
	code = effects_try(&effects, why);
	if (code == HUB_OK)
		effects_keep(&effects, result);
	effects_release(&effects, code != HUB_OK);
	return code;
}

/* --- COMMIT */

/* The job of the last SUBMIT, of a commit that was done before. */
static void
commit_find(struct hub *hub, struct msg_bytes parts, struct msg_DONE_OK *reply)
{
	uint64_t fingerprint;
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (msg_part(parts, &at, PARTS, &id, &msg, NULL) > 0) {
		if (id != MSG_SUBMIT)
			continue;
		reply->uid = msg.SUBMIT.uid;
		reply->token = msg.SUBMIT.token;
		reply->existing = 0;
		if (msg.SUBMIT.idempotency.len > 0)
			store_find_idempotent(hub->store,
			    msg.SUBMIT.idempotency, &reply->uid, &reply->token,
			    &fingerprint);
	}
}

HUB_ON(COMMIT)
{
	struct msg_DONE_OK reply = { 0 };
	struct effects_result result;
	struct why why = { "" };
	enum hub_code code;

	if (msg->uid == 0) {
		peer_fail(peer, request, HUB_BAD, "a commit without a uid");
		return;
	}
	if (store_is_done(hub->store, msg->uid)) {
		commit_find(hub, msg->effects, &reply);
		peer_send(peer, MSG_DONE_OK, request, &reply);
		return;
	}
	code = effects_apply(hub, msg->effects, EFFECTS_NEW, &result, &why);
	if (code != HUB_OK) {
		peer_fail(peer, request, code, "%s", why.text);
		return;
	}
	store_add_done(hub->store, msg->uid, hub->wall_ms);
	hub->sync |= hub->conf->tasks.durability == CONF_DURABLE_FULL;
	reply.uid = result.uid;
	reply.token = result.token;
	reply.existing = result.existing;
	peer_send(peer, MSG_DONE_OK, request, &reply);
}
