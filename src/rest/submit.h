/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * submit - requests that become jobs.
 */
#ifndef REST_SUBMIT_H
#define REST_SUBMIT_H

#include "rest/rest.h"

/* Mode job, or a client that would rather not wait: 202 once the job is stored;
 * its own reply when the client waits for a while and it is done by then. */
enum exchange_next submit_serve(struct conn *conn);

#endif
