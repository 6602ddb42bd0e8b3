/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_table - the rows of conf.def as data, for conf*.c alone.
 *
 * Everything that handles keys walks this table: the parser, the printer, the
 * comparison, the defaults. Nothing outside of conf.def knows a key twice.
 *
 * A value travels as a json_t between the file, the defaults and a member of
 * the struct, so that one function checks it wherever it came from.
 */
#ifndef CORE_CONF_TABLE_H
#define CORE_CONF_TABLE_H

#include "base/why.h"
#include "core/conf.h"

enum conf_apply { CONF_RELOAD, CONF_RESTART };

/* A key. */
struct conf_row {
	const char *name;
	enum conf_type type;
	const char *type_name;
	const char *def;	/* NULL: must be given */
	double min, max;	/* 0, 0: unbounded */
	const char *min_text, *max_text;
	const char *unit;
	enum conf_apply apply;
	const char *help;
	size_t offset;		/* in the struct of its section */
};

/* A group, or a list of groups. */
struct conf_section {
	const char *path;	/* "rest.workers" */
	bool list;
	size_t offset;		/* in struct conf; of a list: its v, then n */
	size_t size;		/* of one item */
	const struct conf_row *(*rows)(size_t *n);
};

/* Where something stands in the file; also how each item of a list begins. */
struct conf_place {
	const char *file;	/* of conf->files */
	int line;
};

/* A list in struct conf, whatever its items are. */
struct conf_list {
	void *v;
	size_t n;
};

extern const struct conf_section conf_section[];
extern const size_t conf_sections;

/* NULL when there is none. */
const struct conf_section *conf_section_find(const char *path);
const struct conf_row *conf_row_find(const struct conf_section *section,
    const char *name);

/* The keys of one of CONF_BINDS, as if each were an item of a section. */
extern const struct conf_section conf_bind_section;

/* The group itself; the list's head. */
void *conf_section_at(const struct conf *conf,
    const struct conf_section *section);
struct conf_list *conf_list_at(const struct conf *conf,
    const struct conf_section *section);
void *conf_list_item(const struct conf *conf,
    const struct conf_section *section, size_t i);

/*
 * The names that a group may hold besides its own keys: the next parts of the
 * section paths below `path` ("" is the whole file), each once. Returns their
 * number, at most CONF_SUBSECTIONS. A name is `len` bytes at `name`.
 */
#define CONF_SUBSECTIONS 32
struct conf_subsection {
	const char *name;
	size_t len;
};
size_t conf_subsections(const char *path,
    struct conf_subsection found[CONF_SUBSECTIONS]);

/* --- conf.c */

/* Gives each key of a zeroed group or item its default. */
void conf_item_default(const struct conf_section *section, void *item);

/* Leaves out the list items that lack what must be given. */
void conf_prune(struct conf *conf);

/* --- one member of a struct, by its row: conf_value.c, conf.c, conf_print.c */

/*
 * Checks `value` and stores it; a member that held one must be released first.
 * Relative paths are taken from `folder`. -1 with what is wrong in words that
 * follow the key's name: "is 0, but must be from 1 to 64".
 */
int conf_value_set(const struct conf_row *row, const json_t *value,
    const char *folder, void *member, struct why *why);

/* A path seen from `folder`; the caller frees it. */
char *conf_absolute(const char *folder, const char *path);

/* The row's default, which always fits; nothing for a row without one. */
void conf_value_default(const struct conf_row *row, void *member);
void conf_value_release(const struct conf_row *row, void *member);
/* `to` holds nothing that would have to be released. */
void conf_value_copy(const struct conf_row *row, const void *from, void *to);
bool conf_value_equal(const struct conf_row *row, const void *a,
    const void *b);

/* As it would stand in the file. */
void conf_value_print(const struct conf_row *row, const void *member,
    FILE *out);

/* Its default as it would stand in the file, quoted where it is a text. */
void conf_value_print_default(const struct conf_row *row, FILE *out);

/* --- conf_text.c: values as text, in the config's own syntax */

/* A text in quotes, with what needs it escaped. */
void conf_text_print(const char *text, FILE *out);
/* "30.0", "0.001": as few digits as say it, at least one after the point. */
void conf_text_print_real(double value, FILE *out);
/* Any JSON value but null; passwords and the like are left out. */
void conf_text_print_json(const json_t *value, FILE *out);

#endif
