/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render - the facts of an answer as text for a person.
 *
 * Called by the commands status and explain. Written for whoever is paged at
 * night: first what the service is doing, then each pool against its wish, then
 * each child with the call it is serving, last in words whatever is not as it
 * should be. Pure: JSON in, text out.
 */
#include "ctl/render.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/format.h"
#include "ctl/render_impl.h"

bool
render_get(const json_t *object, const char *key, double *value)
{
	const json_t *member = json_object_get(object, key);

	*value = json_number_value(member);
	return json_is_number(member);
}

const char *
render_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

const char *
render_show(const json_t *object, const char *key, const char *otherwise,
    char buf[CELL])
{
	const char *text = render_text(object, key);
	double number;

	if (text == NULL && render_get(object, key, &number))
		snprintf(buf, CELL, "%.0f", number);
	else
		mem_copy_string(buf, CELL, text != NULL ? text : otherwise);
	return format_clean(buf);
}

const char *
render_show_as(const json_t *object, const char *key, format_fn *format,
    const char *otherwise, char buf[CELL])
{
	double number;

	if (render_get(object, key, &number))
		return format(number, buf);
	return mem_copy_string(buf, CELL, otherwise);
}

static void
render_listen(const json_t *listen, FILE *out)
{
	const char *text;
	char *copy;
	size_t i;
	const json_t *one;

	if (json_array_size(listen) == 0)
		return;
	fprintf(out, "listen ");
	for (i = 0; i < json_array_size(listen); i++) {
		one = json_array_get(listen, i);
		text = json_string_value(one);
		copy = mem_strdup(text != NULL ? text : "?");
		fprintf(out, " %s", format_clean(copy));
		free(copy);
	}
	fputc('\n', out);
}

static void
render_head(const json_t *data, FILE *out)
{
	const json_t *reload = json_object_get(data, "reload");
	char a[CELL], b[CELL], c[CELL];

	fprintf(out, "%s %s is %s", render_show(data, "service", "-", a),
	    render_show(data, "version", "-", b),
	    render_show(data, "state", "-", c));
	fprintf(out, ", pid %s, up %s", render_show(data, "pid", "-", a),
	    render_show_as(data, "uptime", format_age, "-", b));
	fprintf(out, ", generation %s, log level %s\n",
	    render_show(data, "generation", "-", a),
	    render_show(data, "log_level", "-", b));
	fprintf(out, "config  %s\n", render_show(data, "config", "-", a));
	render_listen(json_object_get(data, "listen"), out);
	if (json_is_object(reload))
		fprintf(out, "reload  %s at %s\n",
		    render_show(reload, "last", "-", a),
		    render_show(reload, "at", "-", b));
}

/* "3 (2-8)": how many are spare, and between what that is kept. */
static const char *
show_spare(const json_t *pool, char buf[CELL])
{
	char spare[CELL];
	double least, most;

	render_show(pool, "spare", "-", spare);
	if (!render_get(pool, "min_spare", &least) ||
	    !render_get(pool, "max_spare", &most))
		return mem_copy_string(buf, CELL, spare);
	snprintf(buf, CELL, "%.32s (%.0f-%.0f)", spare, least, most);
	return buf;
}

static void
render_pools(json_t *pools, FILE *out)
{
	static const struct render_column column[] = {
		{ "POOL", false, "role", NULL, "-" },
		{ "TARGET", true, "target", NULL, "-" },
		{ "WANTED", true, "wanted", NULL, "-" },
		{ "READY", true, "ready", NULL, "-" },
		{ "BUSY", true, "busy", NULL, "-" },
		{ "SPARE", true, "spare_of", NULL, "-" },
		{ "STARTING", true, "starting", NULL, "-" },
		{ "DRAINING", true, "draining", NULL, "-" },
		{ "MAX", true, "max", NULL, "-" },
		{ "CALLS", true, "calls", NULL, "-" },
		{ "ERRORS", true, "errors", NULL, "-" },
		{ "P50", true, "p50_us", format_us, "-" },
		{ "P99", true, "p99_us", format_us, "-" },
		{ "RESTARTS", true, "restarts", NULL, "-" },
	};
	char buf[CELL];
	json_t *pool;
	double calls;
	size_t i;

	json_array_foreach(pools, i, pool)
	{
		render_set(pool, "spare_of", "%s", show_spare(pool, buf));
		/* no calls, no latencies */
		if (!render_get(pool, "calls", &calls) || calls <= 0) {
			json_object_del(pool, "p50_us");
			json_object_del(pool, "p99_us");
		}
	}
	render_table_below(pools, column, RENDER_COUNT(column), out);
}

/* What a child is doing, in one line; "" when nothing. */
static char *
call_line(const json_t *call)
{
	const char *via;
	char method[CELL], path[CELL], handler[CELL], age[CELL], peer[CELL];
	char left[CELL] = "", text[FORMAT_SIZE], id[CELL];
	double seconds;

	if (!json_is_object(call))
		return mem_strdup("");
	if (render_get(call, "deadline_in", &seconds))
		snprintf(left, sizeof(left),
		    seconds < 0 ? ", overdue by %s" : ", %s left",
		    format_age(seconds < 0 ? -seconds : seconds, text));
	via = render_text(call, "door");
	render_show(call, "method", via != NULL ? via : "-", method);
	render_show(call, "path", "", path);
	render_show(call, "peer", "", peer);
	return mem_printf("%s%s%s (%s) for %s%s%s%s, id %s", method,
	    *path != '\0' ? " " : "", path,
	    render_show(call, "handler", "-", handler),
	    render_show_as(call, "age", format_age, "-", age), left,
	    *peer != '\0' ? ", from " : "", peer,
	    render_show(call, "id", "-", id));
}

static void
render_children(json_t *children, FILE *out)
{
	static const struct render_column column[] = {
		{ "SLOT", true, "slot", NULL, "-" },
		{ "POOL", false, "role", NULL, "-" },
		{ "PID", true, "pid", NULL, "-" },
		{ "STATE", false, "state", NULL, "-" },
		{ "GEN", true, "generation", NULL, "-" },
		{ "UP", true, "uptime", format_age, "" },
		{ "CALLS", true, "calls", NULL, "-" },
		{ "ERRORS", true, "errors", NULL, "-" },
		{ "CONNS", true, "connections", NULL, "-" },
		{ "BEAT", true, "heartbeat_age", format_age, "" },
		{ "RSS", true, "rss_bytes", format_bytes, "" },
		{ "PSS", true, "pss_bytes", format_bytes, "" },
		{ "RESTARTS", true, "restarts", NULL, "-" },
		{ "CALL", false, "serves", NULL, "" },
		{ "NOTE", false, "note", NULL, "" },
	};
	json_t *child;
	char *line;
	size_t i;

	json_array_foreach(children, i, child)
	{
		line = call_line(json_object_get(child, "call"));
		render_set(child, "serves", "%s", line);
		free(line);
	}
	render_table_below(children, column, RENDER_COUNT(column), out);
}

static void
render_pool_notes(const json_t *pool, FILE *out)
{
	char role[CELL], reason[CELL], text[FORMAT_SIZE];
	double restarts, retry_in;
	bool held = render_text(pool, "held") != NULL;
	bool retries = render_get(pool, "retry_in", &retry_in);

	render_show(pool, "role", "-", role);
	if (held)
		fprintf(out, "pool %s is held: %s", role,
		    render_show(pool, "held", "", reason));
	else if (retries)
		fprintf(out, "pool %s is short of children", role);
	if (retries)
		fprintf(out, "; next try in %s\n", format_age(retry_in, text));
	else if (held)
		fprintf(out, "; mend it, then reload\n");
	if (render_get(pool, "restarts", &restarts) && restarts > 0)
		fprintf(out, "pool %s: %.0f restarts; the last: %s\n", role,
		    restarts,
		    render_show(pool, "last_restart", "not said", reason));
}

/* What a child itself says is wrong, and what the one before it died of: the
 * same cause tends to hit many, and the pool's note has the last only. */
static void
render_child_notes(const json_t *child, FILE *out)
{
	char slot[CELL], role[CELL], why[CELL];

	render_show(child, "slot", "-", slot);
	if (json_is_true(json_object_get(child, "trouble")))
		fprintf(out, "slot %s, %s: %s\n", slot,
		    render_show(child, "role", "-", role),
		    render_show(child, "note", "it is in trouble", why));
	if (render_text(child, "why") != NULL)
		fprintf(out, "slot %s: the child before was %s\n", slot,
		    render_show(child, "why", "", why));
}

static void
render_notes(const json_t *data, FILE *out)
{
	const json_t *pools = json_object_get(data, "pools");
	const json_t *children = json_object_get(data, "children");
	size_t i;

	for (i = 0; i < json_array_size(pools); i++)
		render_pool_notes(json_array_get(pools, i), out);
	for (i = 0; i < json_array_size(children); i++)
		render_child_notes(json_array_get(children, i), out);
}

/* What the hub was asked for as well; nothing where it was not. */
static void
render_hub_part(const json_t *data, FILE *out)
{
	const json_t *hub = json_object_get(data, "hub");
	const json_t *queues = json_object_get(data, "queues");
	const json_t *schedules = json_object_get(data, "schedules");

	if (hub == NULL)
		return;
	fputc('\n', out);
	if (!json_is_object(hub)) {
		fprintf(out, "the hub does not answer\n");
		return;
	}
	render_hub(hub, out);
	if (json_array_size(queues) > 0) {
		fputc('\n', out);
		render_queues(queues, out);
	}
	if (json_array_size(schedules) > 0) {
		fputc('\n', out);
		render_schedules(schedules, out);
	}
}

void
render_status(const json_t *data, FILE *out)
{
	char *notes = NULL;
	size_t len = 0;
	FILE *memory;

	render_head(data, out);
	render_pools(json_object_get(data, "pools"), out);
	render_children(json_object_get(data, "children"), out);
	render_hub_part(data, out);

	memory = open_memstream(&notes, &len);
	if (memory == NULL)
		return;
	render_notes(data, memory);
	if (fclose(memory) == 0 && len > 0)
		fprintf(out, "\n%s", notes);
	free(notes);
}

void
render_explain(const json_t *data, FILE *out)
{
	static const struct render_column column[] = {
		{ "AT", false, "at", NULL, "-" },
		{ "DECISION", false, "text", NULL, "-" },
	};
	char role[CELL], now[CELL];

	fprintf(out, "%s: %s\n", render_show(data, "role", "-", role),
	    render_show(data, "now", "-", now));
	if (render_table(json_object_get(data, "decisions"), column,
		RENDER_COUNT(column), out) == 0)
		fprintf(out, "no decision has been taken since the start\n");
}
