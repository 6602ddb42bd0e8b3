/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline - handlers that run in the REST worker itself.
 */
#ifndef REST_INLINE_H
#define REST_INLINE_H

#include "rest/rest.h"

/* Runs the route's handler; what it sends is committed before the answer. */
enum exchange_next inline_serve(struct conn *conn);

#endif
