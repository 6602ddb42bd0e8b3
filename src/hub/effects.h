/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effects - what a call sends with its success: checked as a whole, then done
 * as a whole, in the turn's transaction.
 */
#ifndef HUB_EFFECTS_H
#define HUB_EFFECTS_H

#include "hub/hub.h"

/* Who sends them, and so what they may be refused for. */
enum effects_from {
	EFFECTS_NEW,	/* a call at a door: for want of room of any kind */
	EFFECTS_DONE,	/* a job that has run: not for the disk's sake, but a
			   handler that submits itself for ever finds an end */
};

struct effects_result {
	uint64_t uid, token;		/* of the last SUBMIT; 0: none */
	bool existing;
	size_t published, submitted, unroutable;
};

/* Parts as COMMIT has them. HUB_OK, or the code and a sentence, and then
 * nothing was done. */
enum hub_code effects_apply(struct hub *hub, struct msg_bytes parts,
    enum effects_from from, struct effects_result *result, struct why *why);

/* A message of the hub's own: a dead letter, the answer of an RPC. Returns how
 * many queues took it, or a waiting brood_request(); 0 is counted. With a
 * broker 1: it is in the outbox. */
size_t effects_publish(struct hub *hub, const struct msg_PUBLISH *publish);

/* Messages that no queue took, since the start. */
uint64_t effects_unroutable(const struct hub *hub);

#endif
