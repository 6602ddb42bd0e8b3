/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * remote - the commands that one request to the master answers.
 *
 * reload, scale and log print the master's answer as it is, explain turns its
 * facts into text; status.c and hub.c ask in their own way. Each ends within
 * the command's deadline.
 */
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/render.h"

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

/* The data of a success as `render` says it; NULL: as any answer. */
static int
remote_run(struct ctl *ctl, char *const *args, int n,
    void (*render)(const json_t *data, FILE *out))
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
	if (render == NULL || ctl->json ||
	    !json_is_true(json_object_get(answer, "ok")))
		code = ctl_answer(ctl, answer);
	else
		render(json_object_get(answer, "data"), stdout);
	json_decref(answer);
	return code;
}

int
ctl_ask(struct ctl *ctl, char *const *args, int n)
{
	return remote_run(ctl, args, n, NULL);
}

int
ctl_explain(struct ctl *ctl, char *const *args, int n)
{
	return remote_run(ctl, args, n, render_explain);
}
