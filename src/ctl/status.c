/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - what the service is doing, or why it cannot be asked.
 *
 * The master knows of processes, the hub of work: both are asked, and what the
 * master says is shown also when the hub does not answer, which is then the
 * news. When there is no master the pid file has to do.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/render.h"

#define FACT_DIGITS 15 /* 0.1 and not 0.10000000000000001 */
#define HUB_NS (2 * NS_PER_S)

/* One report of the hub: what is under `member` in it, or all of it; NULL when
 * there is none in time. */
static json_t *
status_hub_report(const struct ctl *ctl, enum cmd_id id, const char *member,
    int64_t until_ns)
{
	json_t *line = remote_request(id, NULL, 0), *answer, *report = NULL;
	struct why ignored;

	/* a broker is not waited for: what was known of it last will do */
	if (id == CMD_ID_queues)
		json_object_set_new(line, "wait",
		    json_real(clock_to_seconds(until_ns - clock_now_ns()) / 2));

	if (hub_ask(ctl, id, line, until_ns, &answer, &ignored) ==
	    CLIENT_FINE) {
		report = json_object_get(answer, "data");
		if (member != NULL)
			report = json_object_get(report, member);
		json_incref(report);
	}
	json_decref(answer);
	json_decref(line);
	return report;
}

/* Adds "hub", "queues" and "schedules", null where there is no answer. */
static void
status_add_hub(const struct ctl *ctl, json_t *data)
{
	static const struct {
		const char *name;
		enum cmd_id id;
		const char *member;
	} part[] = {
		{ "hub", CMD_ID_hub, NULL },
		{ "queues", CMD_ID_queues, "queues" },
		{ "schedules", CMD_ID_schedules, "schedules" },
	};
	int64_t left_ns = ctl_left_ns(ctl) / 2;
	int64_t until_ns = clock_now_ns() +
	    (left_ns < HUB_NS ? left_ns : HUB_NS);
	bool there = true;
	json_t *report;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		report = there ? status_hub_report(ctl, part[i].id,
				     part[i].member, until_ns) :
				 NULL;
		there = report != NULL;
		json_object_set_new(data, part[i].name,
		    there ? report : json_null());
	}
}

/* The facts themselves, with "ok" in front. */
static void
status_print_json(const json_t *data)
{
	json_t *object = json_pack("{s:b}", "ok", 1);

	json_object_update(object, (json_t *)(uintptr_t)data);
	ctl_print_json(object, FACT_DIGITS);
	json_decref(object);
}

/* A service that runs by its pid file (owner > 0), or by its socket. */
static int
status_ask(struct ctl *ctl, pid_t owner)
{
	enum client_end end;
	struct why why;
	json_t *answer;
	json_t *data;
	int code = CMD_OK;

	end = remote_ask(ctl, CMD_ID_status, NULL, 0, ctl->deadline_ns, &answer,
	    &why);
	if (end == CLIENT_ABSENT && owner == 0)
		return ctl_fail(ctl, CTL_STATUS_STOPPED, "not running: %s",
		    why.text);
	if (end != CLIENT_FINE && owner == 0)
		return ctl_fail(ctl, CTL_STATUS_UNKNOWN, "%s", why.text);
	if (end != CLIENT_FINE)
		return ctl_fail(ctl, CTL_STATUS_UNKNOWN,
		    "running as process %d, but: %s", (int)owner, why.text);
	data = json_object_get(answer, "data");
	if (json_is_true(json_object_get(answer, "ok")) && !ctl->quiet)
		status_add_hub(ctl, data);
	if (!json_is_true(json_object_get(answer, "ok"))) {
		ctl_answer(ctl, answer);
		code = CTL_STATUS_UNKNOWN;
	} else if (ctl->json) {
		status_print_json(data);
	} else if (!ctl->quiet) {
		render_status(data, stdout);
	}
	json_decref(answer);
	return code;
}

int
ctl_status(struct ctl *ctl, char *const *args, int n)
{
	struct why why;
	bool stale;
	pid_t owner;

	(void)args;
	(void)n;
	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_STATUS_UNKNOWN, "%s", why.text);
	if (ctl->pid_file == NULL)
		return status_ask(ctl, 0);
	owner = ctl_owner(ctl, &stale, &why);
	if (owner > 0)
		return status_ask(ctl, owner);
	if (owner == -1)
		return ctl_fail(ctl, CTL_STATUS_UNKNOWN, "%s", why.text);
	if (stale)
		return ctl_fail(ctl, CTL_STATUS_DEAD,
		    "not running: it died and left its pid file %s; the next "
		    "start cleans up",
		    ctl->pid_file);
	return ctl_fail(ctl, CTL_STATUS_STOPPED, "not running");
}
