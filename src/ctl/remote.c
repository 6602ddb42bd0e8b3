/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * remote - the commands that one request to the master answers.
 *
 * reload, scale and log print the master's answer as it is; status and explain
 * turn its facts into text; status also knows what to say when there is no
 * master to ask. Each ends within the command's deadline.
 */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/render.h"

#define FACT_DIGITS 15 /* 0.1 and not 0.10000000000000001 */

json_t *
remote_request(enum cmd_id id, char *const *args, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(args[i])) == -1) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:s, s:o}", "cmd", cmd_info[id].name, "args", list);
}

enum client_end
remote_answer(const struct ctl *ctl, struct client *client, json_t **answer,
    struct why *why)
{
	enum client_end end;
	const char *event;

	for (;;) {
		end = client_receive(client, answer, why);
		if (end != CLIENT_FINE)
			return end;
		event = json_string_value(json_object_get(*answer, "event"));
		if (event == NULL)
			break;
		ctl_event(ctl, event);
		json_decref(*answer);
	}
	if (json_is_boolean(json_object_get(*answer, "ok")) ||
	    json_is_true(json_object_get(*answer, "go")))
		return CLIENT_FINE;
	json_decref(*answer);
	*answer = NULL;
	why_set(why,
	    "what came on control socket %s is no answer: is it the socket of "
	    "a brood service?",
	    client->path);
	return CLIENT_BROKEN;
}

enum client_end
remote_ask(const struct ctl *ctl, enum cmd_id id, char *const *args, int n,
    int64_t deadline_ns, json_t **answer, struct why *why)
{
	json_t *request = remote_request(id, args, n);
	struct client client = { .fd = -1 };
	enum client_end end;

	*answer = NULL;
	if (request == NULL) {
		why_set(why, "an argument is not UTF-8");
		return CLIENT_FAILED;
	}
	end = client_open(&client, ctl->socket, deadline_ns, why);
	if (end == CLIENT_FINE)
		end = client_send(&client, request, why);
	if (end == CLIENT_FINE)
		end = remote_answer(ctl, &client, answer, why);
	if (end == CLIENT_FINE && json_object_get(*answer, "ok") == NULL) {
		why_set(why,
		    "the answer on control socket %s is to another question",
		    ctl->socket);
		end = CLIENT_BROKEN;
	}
	if (end != CLIENT_FINE) {
		json_decref(*answer);
		*answer = NULL;
	}
	client_close(&client);
	json_decref(request);
	return end;
}

int
remote_fail(const struct ctl *ctl, enum client_end end, const struct why *why)
{
	struct why ignored;
	pid_t owner;

	if (end == CLIENT_DENIED)
		return ctl_fail(ctl, CTL_DENIED, "%s", why->text);
	if (end != CLIENT_ABSENT)
		return ctl_fail(ctl, CMD_FAILED, "%s", why->text);
	owner = ctl->pid_file != NULL ? ctl_owner(ctl, NULL, &ignored) : 0;
	if (owner > 0)
		return ctl_fail(ctl, CMD_FAILED,
		    "%s, although the service runs as process %d: it is "
		    "starting or stopping, or its socket was removed",
		    why->text, (int)owner);
	return ctl_fail(ctl, CTL_NOT_RUNNING, "the service is not running: %s",
	    why->text);
}

int
ctl_ask(struct ctl *ctl, char *const *args, int n)
{
	enum client_end end;
	struct why why;
	json_t *answer;
	int code;

	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_CONFIG, "%s", why.text);
	end = remote_ask(ctl, (enum cmd_id)(ctl->cmd - cmd_info), args, n,
	    ctl->deadline_ns, &answer, &why);
	if (end != CLIENT_FINE)
		return remote_fail(ctl, end, &why);
	code = ctl_answer(ctl, answer);
	json_decref(answer);
	return code;
}

int
ctl_explain(struct ctl *ctl, char *const *args, int n)
{
	enum client_end end;
	struct why why;
	json_t *answer;
	int code = CMD_OK;

	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_CONFIG, "%s", why.text);
	end = remote_ask(ctl, (enum cmd_id)(ctl->cmd - cmd_info), args, n,
	    ctl->deadline_ns, &answer, &why);
	if (end != CLIENT_FINE)
		return remote_fail(ctl, end, &why);
	if (ctl->json || !json_is_true(json_object_get(answer, "ok")))
		code = ctl_answer(ctl, answer);
	else
		render_explain(json_object_get(answer, "data"), stdout);
	json_decref(answer);
	return code;
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
	const json_t *data;
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
