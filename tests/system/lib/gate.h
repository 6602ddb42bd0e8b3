/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate - calls that last until the test lets them through, by way of
 * tests/modules/gate.c.
 */
#ifndef SYSTEM_GATE_H
#define SYSTEM_GATE_H

#include "daemon.h"
#include "http.h"

/* Its entry in `modules`; MODULE_GATE with more settings. */
#define MODULE_GATE_WITH(more) "{ name = \"gate\"; path = \"$SO/gate.so\"; " \
	"settings = { fifo = \"$DIR/gate\"; " more " }; }"
#define MODULE_GATE MODULE_GATE_WITH("")
/* For the member `route`. */
#define GATE_ROUTES ROUTE("GET", "/pass", "gate.pass"), \
	ROUTE("GET", "/who", "gate.who")

/* Makes the FIFO and holds it open; the descriptor, to close. */
int gate_make(const struct daemon *daemon);

/* Lets n calls through, those that wait or the next to come. */
void gate_let(int gate, int n);

/* Sends GET /pass on a new connection and returns it. */
int gate_call(const struct daemon *daemon);

/* Its answer has to come, with status 200; closes. Returns the pid that gave
 * it. */
pid_t gate_answer(int fd);

/* GET /who: the pid. */
pid_t gate_who(const struct daemon *daemon);

#endif
