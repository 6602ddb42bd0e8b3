/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub - the commands that the hub answers.
 *
 * The master only passes the connection on; from {"go":true} it is the hub that
 * answers, so an end of file means that the hub died or was replaced. What a
 * listing has to show becomes a table, a value is printed as it is, and
 * everything else is told in the hub's own sentence.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/body.h"
#include "ctl/client.h"
#include "ctl/confirm.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/render.h"

/* A deadline of the hub for a call comes before ours. */
#define CALL_MARGIN_S 1.0
/* So long the hub waits for a broker to confirm a message. */
#define CONFIRM_S 2.0
/* Hubs that die one after the other, before each can say a word. */
#define HUB_TRIES 20

/* The line that the hub reads; NULL with the reason and *code. */
static json_t *
hub_line(const struct ctl *ctl, char *const *args, int *n, int *code,
    struct why *why)
{
	json_t *line = json_object(), *request;

	if (body_put(ctl, args, n, line, code, why) == -1) {
		json_decref(line);
		return NULL;
	}
	request = remote_request((enum cmd_id)(ctl->cmd - cmd_info), args, *n);
	if (request == NULL) {
		why_set(why, "an argument is not UTF-8");
		json_decref(line);
		return NULL;
	}
	json_object_update(line, request);
	json_decref(request);
	if (ctl->members != NULL)
		json_object_update(line, ctl->members);
	return line;
}

/* The hub gives the call, or an order to a broker, up before we give up the
 * hub. */
static void
hub_line_wait(const struct ctl *ctl, json_t *line)
{
	double left = clock_to_seconds(ctl_left_ns(ctl));

	switch ((enum cmd_id)(ctl->cmd - cmd_info)) {
	case CMD_ID_call:
	case CMD_ID_dead:
	case CMD_ID_retry:
	case CMD_ID_purge:
	case CMD_ID_queues:
		break;
	case CMD_ID_publish:
		/* the hub does not wait for long, unless that is too long */
		if (left < 2 * CONFIRM_S)
			break;
		return;
	default:
		return;
	}
	json_object_set_new(line, "wait",
	    json_real(
		left > 2 * CALL_MARGIN_S ? left - CALL_MARGIN_S : left / 2));
}

/*
 * Up to {"go":true}, or to an answer of the master in place of it. A hub that
 * dies before that has not read a word of the command, so the next one is
 * asked; the master keeps a connection for it until it is there.
 */
static enum client_end
hub_open(const struct ctl *ctl, const json_t *request, struct client *client,
    int64_t deadline_ns, json_t **answer, struct why *why)
{
	enum client_end end = CLIENT_GONE;

	for (int i = 0; i < HUB_TRIES && end == CLIENT_GONE; i++) {
		end = client_open(client, ctl->socket, deadline_ns, why);
		if (end == CLIENT_FINE)
			end = client_send(client, request, why);
		if (end == CLIENT_FINE)
			end = remote_answer(ctl, client, answer, why);
		if (end == CLIENT_GONE)
			client_close(client);
	}
	return end;
}

/*
 * Whether it can be asked a second time what may have been done already: what
 * changes nothing, and what the hub knows again by the id that it gave out.
 */
static bool
hub_may_repeat(enum cmd_id id, json_t *line, const json_t *go)
{
	json_t *name = json_object_get(go, "id");

	switch (id) {
	case CMD_ID_submit:
	case CMD_ID_publish:
		if (json_object_get(line, "id") == NULL && name != NULL)
			json_object_set(line, "id", name);
		return json_object_get(line, "id") != NULL;
	case CMD_ID_call:
	case CMD_ID_cancel:
	case CMD_ID_retry:
	case CMD_ID_purge:
	case CMD_ID_set:
	case CMD_ID_incr:
	case CMD_ID_delete:
		return false;
	default:
		return true;
	}
}

enum client_end
hub_ask(const struct ctl *ctl, enum cmd_id id, json_t *line,
    int64_t deadline_ns, json_t **answer, struct why *why)
{
	json_t *request = remote_request(id, NULL, 0);
	struct client client = { .fd = -1 };
	enum client_end end;
	bool again = true;

	*answer = NULL;
	for (int i = 0; again && i < HUB_TRIES; i++) {
		client_close(&client);
		end = hub_open(ctl, request, &client, deadline_ns, answer, why);
		if (end != CLIENT_FINE ||
		    json_object_get(*answer, "ok") != NULL)
			goto out;
		again = hub_may_repeat(id, line, *answer);
		json_decref(*answer);
		*answer = NULL;
		end = client_send(&client, line, why);
		if (end == CLIENT_FINE)
			end = remote_answer(ctl, &client, answer, why);
		again = again && end == CLIENT_GONE;
	}
	if (end == CLIENT_GONE)
		why_set(why,
		    "the hub ended before it answered; the log names the "
		    "cause, and another one takes its place");
	else if (end == CLIENT_MUTE)
		why_set(why,
		    "no answer in time from the hub; broodctl status shows "
		    "what it is doing");
out:
	if (end != CLIENT_FINE) {
		json_decref(*answer);
		*answer = NULL;
	}
	client_close(&client);
	json_decref(request);
	return end;
}

/* ------------------------------------------------------------- the outcome */

/* Bytes as they are, and on a terminal a newline if they have none. */
static void
print_value(const json_t *data)
{
	const json_t *json = json_object_get(data, "json");
	const json_t *body = json_object_get(data, "body");
	const char *text = json_string_value(body);
	size_t len = json_string_length(body);

	if (json != NULL) {
		ctl_print_json(json, 17);
	} else if (text != NULL && len > 0) {
		fwrite(text, 1, len, stdout);
		if (text[len - 1] != '\n' && isatty(STDOUT_FILENO))
			putchar('\n');
	}
}

/* The message of an answer with a status reads "422: why". */
static int
finish_call(const struct ctl *ctl, const char *handler, const json_t *answer)
{
	const json_t *data = json_object_get(answer, "data");
	const char *message = json_string_value(
	    json_object_get(answer, "message"));
	json_int_t status = json_integer_value(json_object_get(data, "status"));
	bool good = status >= 200 && status < 400;

	/* No status: it did not come to a reply, and the answer says why. */
	if (status == 0)
		return ctl_answer(ctl, answer);
	if (ctl->json) {
		ctl_print_json(answer, 17);
		return good ? CMD_OK : CMD_FAILED;
	}
	print_value(data);
	if (good)
		return CMD_OK;
	if (message == NULL || *message == '\0')
		return ctl_fail(ctl, CMD_FAILED, "%s answered %d", handler,
		    (int)status);
	return ctl_fail(ctl, CMD_FAILED, "%s answered %s", handler, message);
}

static int
finish_get(const struct ctl *ctl, const json_t *answer)
{
	const json_t *data = json_object_get(answer, "data");
	const json_t *bytes = json_object_get(data, "bytes");

	if (bytes != NULL)
		return ctl_fail(ctl, CMD_FAILED,
		    "the value is %lld bytes that are not UTF-8 text, and "
		    "cannot be shown",
		    (long long)json_integer_value(bytes));
	print_value(data);
	return CMD_OK;
}

static void (*const hub_render[CMD_COUNT])(const json_t *, FILE *) = {
	[CMD_ID_jobs] = render_jobs,
	[CMD_ID_dead] = render_dead,
	[CMD_ID_job] = render_job,
	[CMD_ID_queues] = render_queues,
	[CMD_ID_schedules] = render_schedules,
	[CMD_ID_hub] = render_hub,
	[CMD_ID_list] = render_list,
};

static int
hub_finish(const struct ctl *ctl, char *const *args, const json_t *answer)
{
	enum cmd_id id = (enum cmd_id)(ctl->cmd - cmd_info);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (id == CMD_ID_call)
		return finish_call(ctl, args[0], answer);
	if (ctl->json && ok && id != CMD_ID_list && hub_render[id] != NULL) {
		/* facts: 0.1 and not 0.10000000000000001 */
		ctl_print_json(answer, 15);
		return CMD_OK;
	}
	/* what is known here is shown also when the broker is away */
	if (!ok && !ctl->json && hub_render[id] != NULL &&
	    json_object_get(answer, "data") != NULL)
		hub_render[id](json_object_get(answer, "data"), stdout);
	if (ctl->json || !ok)
		return ctl_answer(ctl, answer);
	if (id == CMD_ID_get)
		return finish_get(ctl, answer);
	if (hub_render[id] == NULL)
		return ctl_answer(ctl, answer);
	hub_render[id](json_object_get(answer, "data"), stdout);
	return CMD_OK;
}

/* The hub empties a long queue in pieces, between which it serves others. */
static enum client_end
hub_purge_rest(const struct ctl *ctl, json_t *line, json_t **answer,
    struct why *why)
{
	enum client_end end = CLIENT_FINE;
	json_int_t purged = 0;
	json_t *data = json_object_get(*answer, "data");
	char text[64];

	while (json_is_true(json_object_get(data, "more")) &&
	    json_is_true(json_object_get(*answer, "ok")) &&
	    ctl_left_ns(ctl) > 0) {
		purged += json_integer_value(json_object_get(data, "purged"));
		snprintf(text, sizeof(text), "%lld dropped so far",
		    (long long)purged);
		ctl_event(ctl, text);
		json_decref(*answer);
		end = hub_ask(ctl, CMD_ID_purge, line, ctl->deadline_ns, answer,
		    why);
		if (end != CLIENT_FINE)
			return end;
		data = json_object_get(*answer, "data");
	}
	if (purged == 0 || data == NULL)
		return end;
	purged += json_integer_value(json_object_get(data, "purged"));
	json_object_set_new(data, "purged", json_integer(purged));
	if (json_is_true(json_object_get(*answer, "ok"))) {
		snprintf(text, sizeof(text), "%lld dropped", (long long)purged);
		json_object_set_new(*answer, "message", json_string(text));
	}
	return end;
}

int
ctl_hub(struct ctl *ctl, char *const *args, int n)
{
	enum client_end end;
	struct why why;
	json_t *line, *answer;
	int code;

	if (ctl->cmd == &cmd_info[CMD_ID_purge]) {
		code = confirm_purge(ctl, args[0]);
		if (code != CMD_OK)
			return code;
	}

	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_CONFIG, "%s", why.text);
	line = hub_line(ctl, args, &n, &code, &why);
	if (line == NULL)
		return ctl_fail(ctl, code, "%s", why.text);
	hub_line_wait(ctl, line);
	end = hub_ask(ctl, (enum cmd_id)(ctl->cmd - cmd_info), line,
	    ctl->deadline_ns, &answer, &why);
	if (end == CLIENT_FINE && ctl->cmd == &cmd_info[CMD_ID_purge])
		end = hub_purge_rest(ctl, line, &answer, &why);
	if (end == CLIENT_FINE)
		code = hub_finish(ctl, args, answer);
	else
		code = remote_fail(ctl, end, &why);
	json_decref(answer);
	json_decref(line);
	return code;
}
