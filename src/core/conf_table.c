/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_table - conf.def as data, and the ways around in it.
 *
 * A row knows its member's offset in its own section, a section its offset in
 * struct conf; so all that handles keys is a walk over this table and no key is
 * named twice. Read-only.
 */
#include "core/conf_table.h"

#include <string.h>

/* clang-format off: the macros open and close what no other line does */

/*
 * A function for each section rather than an array: a row of conf.def does not
 * say which section it is in, and only in a scope of its own can all of them
 * call their struct by the same name, `here`.
 */
#define SECTION(name, path)                                     \
	static const struct conf_row *rows_of_##name(size_t *n) \
	{                                                       \
		struct here {                                   \
			struct conf_##name at;                  \
		};                                              \
		static const struct conf_row rows[] = {
#define LIST(name, path) SECTION(name, path)
#define KEY(type, name, def, min, max, unit, apply, help)             \
	{ #name, CONF_##type, #type, def, min, max, #min, #max, unit, \
		CONF_##apply, help, offsetof(struct here, at.name) },
#define END                                  \
	}                                    \
	;                                    \
	*n = sizeof(rows) / sizeof(rows[0]); \
	return rows;                         \
	}
#include "core/conf.def"

const struct conf_section conf_section[] = {
#define SECTION(name, path)                         \
	{ path, false, offsetof(struct conf, name), \
		sizeof(struct conf_##name), rows_of_##name },
#define LIST(name, path)                                                       \
	{ path, true, offsetof(struct conf, name), sizeof(struct conf_##name), \
		rows_of_##name },
#define KEY(type, name, def, min, max, unit, apply, help)
#define END
#include "core/conf.def"
};
const size_t conf_sections = sizeof(conf_section) / sizeof(conf_section[0]);

static const struct conf_row *
rows_of_bind(size_t *n)
{
	static const struct conf_row rows[] = {
		{ "exchange", CONF_STRING, "STRING", NULL, 1, 255, "1", "255",
		    "", CONF_RELOAD, "the exchange to bind to",
		    offsetof(struct conf_bind, exchange) },
		{ "key", CONF_STRING, "STRING", "", 0, 255, "0", "255", "",
		    CONF_RELOAD, "with this key or pattern",
		    offsetof(struct conf_bind, key) },
	};
	*n = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

const struct conf_section conf_bind_section = { "bind", false, 0,
	sizeof(struct conf_bind), rows_of_bind };

/* The generic view of a list has to fit the real ones. */
#define SECTION(name, path)
#define LIST(name, path)                                   \
	_Static_assert(sizeof(((struct conf *)0)->name) == \
		    sizeof(struct conf_list) &&            \
		offsetof(struct conf_##name, line) ==      \
		    offsetof(struct conf_place, line),     \
	    "struct conf_" #name);
#define KEY(type, name, def, min, max, unit, apply, help)
#define END
#include "core/conf.def"

/* clang-format on */

const struct conf_section *
conf_section_find(const char *path)
{
	for (size_t i = 0; i < conf_sections; i++)
		if (strcmp(conf_section[i].path, path) == 0)
			return &conf_section[i];
	return NULL;
}

const struct conf_row *
conf_row_find(const struct conf_section *section, const char *name)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(row[i].name, name) == 0)
			/* cppcheck-suppress returnDanglingLifetime */
			return &row[i]; /* static; it takes it for part of n */
	return NULL;
}

void *
conf_section_at(const struct conf *conf, const struct conf_section *section)
{
	return (char *)(uintptr_t)conf + section->offset;
}

struct conf_list *
conf_list_at(const struct conf *conf, const struct conf_section *section)
{
	return conf_section_at(conf, section);
}

void *
conf_list_item(const struct conf *conf, const struct conf_section *section,
    size_t i)
{
	return (char *)conf_list_at(conf, section)->v + i * section->size;
}

size_t
conf_subsections(const char *path,
    struct conf_subsection found[CONF_SUBSECTIONS])
{
	size_t len = strlen(path), n = 0, i;
	struct conf_subsection next;

	for (size_t s = 0; s < conf_sections; s++) {
		next.name = conf_section[s].path;
		if (len > 0) {
			if (strncmp(next.name, path, len) != 0 ||
			    next.name[len] != '.')
				continue;
			next.name += len + 1;
		}
		next.len = strcspn(next.name, ".");
		for (i = 0; i < n; i++)
			if (found[i].len == next.len &&
			    memcmp(found[i].name, next.name, next.len) == 0)
				break;
		if (i == n && n < CONF_SUBSECTIONS)
			found[n++] = next;
	}
	return n;
}
