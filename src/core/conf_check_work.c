/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check_work - the other half of conf_check: what has to hold between the
 * keys of the hub, of tasks and of messages, and between handlers and modules.
 *
 * What takes more than the config to know is found out later, by the roles'
 * checks: whether a module has that handler (task), whether a cron text makes
 * sense and a binding leads anywhere (hub).
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/conf_check.h"

/* ----------------------------------------------------------------- handlers */

/* False when a module may lack its name by mistake: then a name that is not
 * found is no news. */
static bool
modules_known(const struct checking *c)
{
	for (size_t i = 0; i < c->conf->module.n; i++)
		if (c->conf->module.v[i].name == NULL)
			return false;
	return c->conf->module.n > 0 || c->errors->n == c->errors_before;
}

static void
fail_handler(const struct checking *c, const struct conf_place *place,
    const char *handler, const char *module, const char *near)
{
	if (near != NULL)
		conf_errors_add(c->errors,
		    "%s:%d: the handler \"%s\" is in no module of this config; "
		    "did you mean \"%s%s\"?",
		    place->file, place->line, handler, near,
		    strchr(handler, '.'));
	else
		conf_errors_add(c->errors,
		    "%s:%d: the handler \"%s\" is in no module of this config: "
		    "no entry of 'modules' has the name \"%s\"",
		    place->file, place->line, handler, module);
}

/* False when the handler cannot be there; the error is out. */
static bool
handler_ok(const struct checking *c, const struct conf_place *place,
    const char *handler, bool known)
{
	const struct conf_module *m = c->conf->module.v;
	const char **names = mem_array(c->conf->module.n + 1, sizeof(*names));
	char *module = mem_printf("%.*s", (int)strcspn(handler, "."), handler);
	bool found = false, ok = false;
	size_t n = 0;

	for (size_t i = 0; i < c->conf->module.n && !found; i++) {
		if (m[i].name == NULL)
			continue;
		names[n++] = m[i].name;
		found = strcmp(m[i].name, module) == 0;
		/* without a path, which is an error already */
		ok = found && m[i].path != NULL;
	}
	if (!found && known)
		fail_handler(c, place, handler, module,
		    conf_nearest(module, names, n));
	free(module);
	free(names);
	return ok;
}

/* The list's items that name a handler, by where it lies in them. */
static void
check_list_handlers(const struct checking *c, const char *path, bool known)
{
	const struct conf_section *section = conf_section_find(path);
	const struct conf_row *row = conf_row_find(section, "handler");
	struct conf_list *list = conf_list_at(c->conf, section);

	for (size_t i = 0; i < list->n; i++) {
		char *item = conf_list_item(c->conf, section, i);
		char **handler = (char **)(void *)(item + row->offset);

		if (*handler == NULL || **handler == '\0' ||
		    handler_ok(c, (const struct conf_place *)(void *)item,
			*handler, known))
			continue;
		checking_drop(handler);
		/* where it may be left out: as if it were */
		conf_value_default(row, handler);
	}
}

void
conf_check_handlers(const struct checking *c)
{
	static const char *const lists[] = { "rest.routes", "tasks.limits",
		"tasks.schedule", "tasks.background", "amqp.queues" };
	bool known = modules_known(c);

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		check_list_handlers(c, lists[i], known);
}

/* -------------------------------------------------------------------- names */

/* Of two items of one name the earlier stays. */
static void
check_names(const struct checking *c, const char *path, const char *key,
    const char *what)
{
	const struct conf_section *section = conf_section_find(path);
	const struct conf_row *row = conf_row_find(section, key);
	struct conf_list *list = conf_list_at(c->conf, section);

	for (size_t i = 0; i < list->n; i++) {
		char *item = conf_list_item(c->conf, section, i);
		const struct conf_place *at = (const void *)item;
		char **name = (char **)(void *)(item + row->offset);

		for (size_t j = 0; j < i && *name != NULL; j++) {
			char *other = conf_list_item(c->conf, section, j);
			const struct conf_place *there = (const void *)other;
			char **its = (char **)(void *)(other + row->offset);

			if (*its == NULL || strcmp(*its, *name) != 0)
				continue;
			conf_errors_add(c->errors,
			    "%s:%d: %s \"%s\" is there already, at %s:%d",
			    at->file, at->line, what, *name, there->file,
			    there->line);
			checking_drop(name);
		}
	}
}

static void
check_all_names(const struct checking *c)
{
	check_names(c, "hub.data", "prefix", "the prefix");
	check_names(c, "tasks.limits", "handler", "a limit of the handler");
	check_names(c, "tasks.schedule", "name", "a schedule named");
	check_names(c, "tasks.background", "name",
	    "a background handler named");
	check_names(c, "amqp.exchanges", "name", "an exchange named");
	check_names(c, "amqp.queues", "name", "a queue named");
}

/* ------------------------------------------------------------------ numbers */

static void
check_backoff(const struct checking *c, const char *group, const int64_t *min,
    const int64_t *max)
{
	if (*min > *max)
		checking_fail(c, checking_given(c, min, max),
		    "'%s.backoff_min' is %.9g, but must not be more than "
		    "'%s.backoff_max', which is %.9g",
		    group, clock_to_seconds(*min), group,
		    clock_to_seconds(*max));
}

static void
check_sizes(const struct checking *c)
{
	const struct conf_hub *hub = &c->conf->hub;
	const int *children = &c->conf->service.max_children;

	if (hub->redo_size / 8 < hub->max_value)
		checking_fail(c,
		    checking_given(c, &hub->redo_size, &hub->max_value),
		    "'hub.redo_size' is %zu, but must be at least %zu, eight "
		    "times 'hub.max_value'",
		    hub->redo_size, hub->max_value * 8);
	if (hub->max_value > hub->max_message)
		checking_fail(c,
		    checking_given(c, &hub->max_value, &hub->max_message),
		    "'hub.max_value' is %zu, but must not be more than "
		    "'hub.max_message', which is %zu",
		    hub->max_value, hub->max_message);
	if (hub->max_value > hub->max_memory)
		checking_fail(c,
		    checking_given(c, &hub->max_value, &hub->max_memory),
		    "'hub.max_value' is %zu, but must not be more than "
		    "'hub.max_memory', which is %zu",
		    hub->max_value, hub->max_memory);
	if (hub->max_unread < hub->max_message)
		checking_fail(c,
		    checking_given(c, &hub->max_unread, &hub->max_message),
		    "'hub.max_unread' is %zu, but must be at least "
		    "'hub.max_message', which is %zu, or who is sent one such "
		    "message is cut off",
		    hub->max_unread, hub->max_message);
	if (hub->max_clients < *children)
		checking_fail(c, checking_given(c, &hub->max_clients, children),
		    "'hub.max_clients' is %d, but must be at least "
		    "'service.max_children', which is %d: each child is one",
		    hub->max_clients, *children);
}

/* -------------------------------------------------------------------- lists */

static void
check_schedules(const struct checking *c)
{
	struct conf_schedule *s = c->conf->schedule.v;

	for (size_t i = 0; i < c->conf->schedule.n; i++) {
		bool every = s[i].every > 0, cron = s[i].cron[0] != '\0';
		const char *name = s[i].name != NULL ? s[i].name : "?";

		if (every == cron)
			conf_errors_add(c->errors,
			    "%s:%d: the schedule \"%s\" has %s; give it one",
			    s[i].file, s[i].line, name,
			    every ? "both 'every' and 'cron'" :
				    "neither 'every' nor 'cron'");
		if (every && s[i].timezone[0] != '\0')
			conf_errors_add(c->errors,
			    "%s:%d: the schedule \"%s\" has a 'timezone', "
			    "which is for 'cron'",
			    s[i].file, s[i].line, name);
		if (every == cron)
			checking_drop(&s[i].name);
	}
}

static void
check_queues(const struct checking *c)
{
	for (size_t i = 0; i < c->conf->queue.n; i++) {
		const struct conf_queue *q = &c->conf->queue.v[i];

		/* 0 takes that of 'tasks', which may be the larger one */
		if (q->backoff_min > 0 && q->backoff_max > 0)
			check_backoff(c, "amqp.queues[]", &q->backoff_min,
			    &q->backoff_max);
		if (q->dead_letter_key[0] != '\0' &&
		    q->dead_letter_exchange[0] == '\0')
			conf_errors_add(c->errors,
			    "%s:%d: the queue \"%s\" has a 'dead_letter_key', "
			    "but no 'dead_letter_exchange'",
			    q->file, q->line, q->name != NULL ? q->name : "?");
	}
}

/* Something is to run in task workers, but none would ever be started. */
static void
check_workers(const struct checking *c)
{
	const struct conf_task_workers *w = &c->conf->task_workers;
	const struct conf *conf = c->conf;
	size_t n = conf->schedule.n;

	for (size_t i = 0; i < conf->route.n; i++)
		n += conf->route.v[i].mode != CONF_MODE_INLINE;
	for (size_t i = 0; i < conf->queue.n; i++)
		n += conf->queue.v[i].handler[0] != '\0';
	if (n > 0 && w->start == 0 && w->min_spare == 0)
		checking_fail(c, checking_given(c, &w->start, &w->min_spare),
		    "'tasks.workers.start' and 'tasks.workers.min_spare' are "
		    "0, so that no task worker is ever started, but %zu "
		    "routes, schedules or queues need one",
		    n);
}

void
conf_check_work(const struct checking *c)
{
	const struct conf_tasks *tasks = &c->conf->tasks;

	check_sizes(c);
	check_backoff(c, "tasks", &tasks->backoff_min, &tasks->backoff_max);
	check_schedules(c);
	check_queues(c);
	check_all_names(c);
	check_workers(c);
}
