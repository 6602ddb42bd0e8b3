/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf - a struct conf from birth to death, and two of them side by side.
 *
 * Everything here is a walk over the rows of conf.def; how a member lies in
 * memory is known by its type alone. What fills a struct conf from a file is
 * conf_load.c; programs that only need defaults and names link without it.
 */
#include "core/conf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/conf_table.h"

void
conf_errors_add(struct conf_errors *errors, const char *format, ...)
{
	char *line;
	va_list ap;

	va_start(ap, format);
	line = mem_vprintf(format, ap);
	va_end(ap);
	errors->v = mem_grow(errors->v, errors->n + 1, sizeof(char *));
	errors->v[errors->n++] = line;
}

void
conf_errors_release(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		free(errors->v[i]);
	free(errors->v);
	memset(errors, 0, sizeof(*errors));
}

static void
strings_release(struct conf_strings *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->v[i]);
	free(strings->v);
	memset(strings, 0, sizeof(*strings));
}

static void
binds_release(struct conf_binds *binds)
{
	for (size_t i = 0; i < binds->n; i++) {
		free(binds->v[i].exchange);
		free(binds->v[i].key);
	}
	free(binds->v);
	memset(binds, 0, sizeof(*binds));
}

static json_t *
default_value(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_INT:
	case CONF_SIZE:
		return json_integer(strtoll(row->def, NULL, 0));
	case CONF_SECONDS:
		return json_real(strtod(row->def, NULL));
	case CONF_BOOL:
		return json_boolean(strcmp(row->def, "true") == 0);
	case CONF_STRINGS:
		return json_pack("[s]", row->def);
	case CONF_SETTINGS:
		return json_object();
	default:
		return json_string(row->def);
	}
}

void
conf_value_default(const struct conf_row *row, void *member)
{
	json_t *value;
	struct why why;

	/* must be given; until then, and without bindings, it is zeroed */
	if (row->def == NULL || row->type == CONF_BINDS)
		return;
	value = default_value(row);
	if (conf_value_set(row, value, "", member, &why) < 0)
		assert(!"a default in conf.def breaks its own row");
	json_decref(value);
}

void
conf_value_release(const struct conf_row *row, void *member)
{
	switch (row->type) {
	case CONF_STRINGS:
		strings_release(member);
		break;
	case CONF_BINDS:
		binds_release(member);
		break;
	case CONF_SETTINGS:
		json_decref(*(json_t **)member);
		*(json_t **)member = NULL;
		break;
	case CONF_STRING:
	case CONF_PATH:
	case CONF_MODULE:
	case CONF_NAME:
	case CONF_HANDLER:
		free(*(char **)member);
		*(char **)member = NULL;
		break;
	default:
		break;
	}
}

static void
strings_copy(const struct conf_strings *from, struct conf_strings *to)
{
	to->v = mem_array(from->n + 1, sizeof(char *));
	for (to->n = 0; to->n < from->n; to->n++)
		to->v[to->n] = mem_strdup(from->v[to->n]);
}

static void
binds_copy(const struct conf_binds *from, struct conf_binds *to)
{
	to->v = mem_array(from->n + 1, sizeof(*to->v));
	for (to->n = 0; to->n < from->n; to->n++) {
		const struct conf_bind *bind = &from->v[to->n];

		to->v[to->n].exchange = mem_strdup(bind->exchange);
		to->v[to->n].key = mem_strdup(bind->key);
	}
}

static bool
binds_equal(const struct conf_binds *a, const struct conf_binds *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].exchange, b->v[i].exchange) != 0 ||
		    strcmp(a->v[i].key, b->v[i].key) != 0)
			return false;
	return true;
}

void
conf_value_copy(const struct conf_row *row, const void *from, void *to)
{
	switch (row->type) {
	case CONF_INT:
	case CONF_CHOICE:
		*(int *)to = *(const int *)from;
		break;
	case CONF_SIZE:
		*(size_t *)to = *(const size_t *)from;
		break;
	case CONF_SECONDS:
		*(int64_t *)to = *(const int64_t *)from;
		break;
	case CONF_BOOL:
		*(bool *)to = *(const bool *)from;
		break;
	case CONF_STRINGS:
		strings_copy(from, to);
		break;
	case CONF_BINDS:
		binds_copy(from, to);
		break;
	case CONF_SETTINGS:
		*(json_t **)to = json_incref(*(json_t *const *)from);
		break;
	default:
		*(char **)to = mem_strdup(*(char *const *)from);
	}
}

static bool
strings_equal(const struct conf_strings *a, const struct conf_strings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

bool
conf_value_equal(const struct conf_row *row, const void *a, const void *b)
{
	switch (row->type) {
	case CONF_INT:
	case CONF_CHOICE:
		return *(const int *)a == *(const int *)b;
	case CONF_SIZE:
		return *(const size_t *)a == *(const size_t *)b;
	case CONF_SECONDS:
		return *(const int64_t *)a == *(const int64_t *)b;
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_STRINGS:
		return strings_equal(a, b);
	case CONF_BINDS:
		return binds_equal(a, b);
	case CONF_SETTINGS:
		return json_equal(*(json_t *const *)a, *(json_t *const *)b);
	default:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	}
}

struct conf *
conf_defaults(void)
{
	struct conf *conf = mem_alloc(sizeof(*conf));

	for (size_t s = 0; s < conf_sections; s++)
		if (!conf_section[s].list)
			conf_item_default(&conf_section[s],
			    conf_section_at(conf, &conf_section[s]));
	conf->file = mem_strdup("");
	return conf;
}

void
conf_item_default(const struct conf_section *section, void *item)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);

	for (size_t i = 0; i < n; i++)
		conf_value_default(&row[i], (char *)item + row[i].offset);
}

static void
item_release(const struct conf_section *section, void *item)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);

	for (size_t i = 0; i < n; i++)
		conf_value_release(&row[i], (char *)item + row[i].offset);
}

static bool
item_complete(const struct conf_section *section, const char *item)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);

	/* what must be given is text, of whatever type */
	for (size_t i = 0; i < n; i++)
		if (row[i].def == NULL &&
		    *(char *const *)(const void *)(item + row[i].offset) ==
			NULL)
			return false;
	return true;
}

static void
list_prune(struct conf *conf, const struct conf_section *section)
{
	struct conf_list *list = conf_list_at(conf, section);
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		void *item = conf_list_item(conf, section, i);

		if (!item_complete(section, item))
			item_release(section, item);
		else
			memmove(conf_list_item(conf, section, kept++), item,
			    section->size);
	}
	list->n = kept;
}

void
conf_prune(struct conf *conf)
{
	for (size_t s = 0; s < conf_sections; s++)
		if (conf_section[s].list)
			list_prune(conf, &conf_section[s]);
}

static void
forget(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
conf_free(struct conf *conf)
{
	const struct conf_section *section = conf_section;
	struct conf_list *list;

	if (conf == NULL)
		return;
	for (; section < conf_section + conf_sections; section++) {
		if (!section->list) {
			item_release(section, conf_section_at(conf, section));
			continue;
		}
		list = conf_list_at(conf, section);
		for (size_t i = 0; i < list->n; i++)
			item_release(section, conf_list_item(conf, section, i));
		free(list->v);
	}
	free(conf->file);
	strings_release(&conf->files);
	free(conf->tls_certificate);
	forget(conf->tls_key);
	free(conf->amqp_ca);
	free(conf->amqp_certificate);
	forget(conf->amqp_key);
	free(conf->amqp_user);
	forget(conf->amqp_password);
	free(conf);
}

static void
section_compare(const struct conf_section *section, const struct conf *old,
    struct conf *new, struct conf_errors *ignored)
{
	const char *was = conf_section_at(old, section);
	char *is = conf_section_at(new, section);
	size_t n;
	const struct conf_row *row = section->rows(&n);

	for (; n > 0; n--, row++) {
		if (row->apply != CONF_RESTART ||
		    conf_value_equal(row, was + row->offset, is + row->offset))
			continue;
		conf_errors_add(ignored,
		    "'%s.%s' has changed; it takes a restart to apply, until "
		    "then the old value stays",
		    section->path, row->name);
		conf_value_release(row, is + row->offset);
		conf_value_copy(row, was + row->offset, is + row->offset);
	}
}

void
conf_compare(const struct conf *old, struct conf *new,
    struct conf_errors *ignored)
{
	/* An item of a list has no key that needs a restart: which old item
	 * would it be the successor of? */
	for (size_t s = 0; s < conf_sections; s++)
		if (!conf_section[s].list)
			section_compare(&conf_section[s], old, new, ignored);
	/* the one check that an old value can make untrue */
	if (conf_children_max(new) > new->service.max_children)
		conf_errors_add(ignored,
		    "%d children may live side by side during a reload, more "
		    "than the 'service.max_children' that stays, which is %d; "
		    "a reload of full pools may not find room",
		    conf_children_max(new), new->service.max_children);
}

bool
conf_has_broker(const struct conf *conf)
{
	return conf->amqp.broker.n > 0 &&
	    strcmp(conf->amqp.broker.v[0], "local") != 0;
}

int
conf_children_max(const struct conf *conf)
{
	int amqp = conf_has_broker(conf) ? conf->amqp.children : 0;

	return 2 *
	    (conf->rest_workers.max + conf->task_workers.max +
		(int)conf->background.n + amqp) +
	    1;
}

/* The path that was given, or `name` in `folder`. */
static const char *
path_or(const char *path, const char *folder, const char *name,
    char buf[CONF_PATH_SIZE])
{
	if (path[0] != '\0')
		return mem_copy_string(buf, CONF_PATH_SIZE, path);
	snprintf(buf, CONF_PATH_SIZE, "%s/%s", folder, name);
	return buf;
}

const char *
conf_pid_file(const struct conf *conf, char buf[CONF_PATH_SIZE])
{
	return path_or(conf->service.pid_file, conf->service.run_dir,
	    "broodd.pid", buf);
}

const char *
conf_control_socket(const struct conf *conf, char buf[CONF_PATH_SIZE])
{
	return path_or(conf->control.socket, conf->service.run_dir,
	    "control.sock", buf);
}

const char *
conf_hub_socket(const struct conf *conf, char buf[CONF_PATH_SIZE])
{
	return path_or(conf->hub.socket, conf->service.run_dir, "hub.sock",
	    buf);
}

const char *
conf_hub_store(const struct conf *conf, char buf[CONF_PATH_SIZE])
{
	return path_or(conf->hub.store, conf->service.state_dir, "hub.db", buf);
}
