/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs - what is told of jobs, and the addresses where one asks for them.
 */
#ifndef REST_JOBS_H
#define REST_JOBS_H

#include "rest/rest.h"

/* GET and DELETE of rest.jobs_path/{id}, GET of rest.jobs_path/{id}/result. */
enum exchange_next jobs_get(struct conn *conn);
enum exchange_next jobs_result(struct conn *conn);
enum exchange_next jobs_cancel(struct conn *conn);

/* Adds their routes, unless rest.jobs_path is empty. -1 with the reason. */
int jobs_add_routes(struct route_table *table, const struct conf *conf,
    struct why *why);

/* --- for submit; conn->waiting.job and .token say which */

/* What is granted of Prefer: into conn->waiting.applied. */
void jobs_grant(struct conn *conn);

/* Until when to wait for an answer that comes after wait_s at the latest. */
int64_t jobs_patience(const struct conn *conn, uint32_t wait_s);

/* 202 with the job's address. */
enum exchange_next jobs_accept(struct conn *conn, enum job_state state);

/* A finished job's own reply. */
enum exchange_next jobs_conclude(struct conn *conn, const struct msg_JOB *job);

#endif
