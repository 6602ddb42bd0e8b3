/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render - the facts of an answer as text for a person.
 *
 * `data` is the member of that name in the master's answer; NULL or of any
 * shape: what is missing or of the wrong type shows as "-" or not at all.
 */
#ifndef CTL_RENDER_H
#define CTL_RENDER_H

#include <jansson.h>
#include <stdio.h>

/* A paragraph on the service, the pools, the children, and what is wrong. */
void render_status(const json_t *data, FILE *out);

/* render_hub.c: the hub; queues, exchanges and bindings. */
void render_hub(const json_t *data, FILE *out);
void render_queues(const json_t *data, FILE *out);

/* render_work.c: jobs in a table, dead ones with a broker's dead letters; one
 * job with all there is to know of it. */
void render_dead(const json_t *data, FILE *out);
void render_schedules(const json_t *data, FILE *out);
void render_jobs(const json_t *data, FILE *out);
void render_job(const json_t *data, FILE *out);
void render_list(const json_t *data, FILE *out);

/* Why a pool is the size it is: what holds now, then the decisions. */
void render_explain(const json_t *data, FILE *out);

#endif
