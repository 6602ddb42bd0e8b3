/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub - what the files of the hub share.
 *
 *   peer    connections, hello, frames      redo     changes the store lacks
 *   data    the keys and their values       store    SQLite, transactions
 *   keys    requests about them             jobs     which job is next (pure)
 *   lock    leases                          work     jobs through their states
 *   watch   who is told of what             dispatch free workers, limits
 *   exchange  where a message goes (pure)   effects  what a call sends
 *   cron    when next (pure)                schedule runs begun in time
 *   outbox  what the broker is to get       broker   the amqp children
 *   delivery  messages of a broker          seen     those that are done
 *   desk    commands of broodctl            report   what they show
 *
 * A turn of the loop is one transaction. Handlers of requests read, decide and
 * write: to memory at once, to the redo file (shared data) or to the store
 * (everything else), and queue their replies. At the end of the turn the store
 * commits, with an fsync where durability asks for it, and only then anything
 * is sent. So whoever has an answer has it for good, and a hundred requests
 * that came together cost one fsync.
 *
 * A store that does not commit ends the process: nothing of the turn was told
 * to anybody, the next hub reads what is true, and the clients ask again. For a
 * full disk there is a reserve to finish work with (store.h).
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/hub_client.h"
#include "core/msg.h"

struct broker;
struct data;
struct desk;
struct dispatch;
struct exchanges;
struct keys;
struct locks;
struct outbox;
struct peer;
struct peers;
struct redo;
struct schedules;
struct seen;
struct store;
struct watches;
struct work;

struct hub {
	struct child *child;
	const struct conf *conf;
	struct loop *loop;
	struct store *store;
	struct redo *redo;
	struct data *data;
	struct keys *keys;
	struct locks *locks;
	struct watches *watches;
	struct work *work;
	struct dispatch *dispatch;
	struct exchanges *exchanges;
	struct broker *broker;		/* these: without a broker NULL */
	struct outbox *outbox;
	struct seen *seen;
	struct schedules *schedules;
	struct peers *peers;
	struct desk *desk;
	size_t left;			/* in the store for a broker, without */
	uint64_t frames;		/* that peers have sent, ever */
	bool draining;
	/* what this turn commits needs an fsync; hub.c clears it */
	bool sync;
	/* effects of this turn have changed data that the store has not yet
	 * committed: keys.c commits (no fsync) before it writes to the redo
	 * file, which must never be ahead of the store */
	bool data_uncommitted;
	/* of this turn, good enough to age things by */
	int64_t now_ns, wall_ms;
};

extern const struct role hub_role;

/* Set before each round of handlers. */
void hub_tick(struct hub *hub);

/* The handlers of requests: hub_on_GET() and so on, one for each row of msg.def
 * that a client sends (HELLO aside). They answer with peer_send() or
 * peer_fail(), now or later. */
#define HUB_ON(id) void hub_on_##id(struct hub *hub, struct peer *peer, \
    uint32_t request, const struct msg_##id *msg)
HUB_ON(GET);		/* keys.c */
HUB_ON(SET);
HUB_ON(INCR);
HUB_ON(DELETE);
HUB_ON(LIST);
HUB_ON(LOCK);		/* lock.c */
HUB_ON(UNLOCK);
HUB_ON(NOTIFY);		/* watch.c */
HUB_ON(WATCH);
HUB_ON(COMMIT);		/* work.c */
HUB_ON(CALL);
HUB_ON(ABANDON);
HUB_ON(REQUEST);
HUB_ON(DONE);
HUB_ON(PROGRESS);
HUB_ON(JOB_GET);
HUB_ON(JOB_CANCEL);
HUB_ON(DELIVER);	/* delivery.c */
HUB_ON(LINK);		/* broker.c */
HUB_ON(SENT);
HUB_ON(REPORT);
HUB_ON(ANSWER);		/* work_request.c */

#endif
