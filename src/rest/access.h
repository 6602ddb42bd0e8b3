/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access - the line that each request leaves in the log.
 */
#ifndef REST_ACCESS_H
#define REST_ACCESS_H

struct conn;

/* `outcome` says why the answer did not go out whole, NULL when it did. */
void access_log(const struct conn *conn, const char *outcome);

/* For what never became a request: only the peer and the answer are known. */
void access_log_refusal(const struct conn *conn, const char *id, int status,
    const char *reason);

#endif
