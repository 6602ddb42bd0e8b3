/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctldoor - the door of broodctl's `call`; cmd.def describes what is said
 * there.
 */
#ifndef REST_CTLDOOR_H
#define REST_CTLDOOR_H

struct rest;

/* Takes a connection that the master has handed over, with its descriptor. */
void ctldoor_open(struct rest *rest, int fd);

/* Cuts off what is still open. */
void ctldoor_stop(struct rest *rest);

#endif
