/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_load - from a file to a struct conf.
 *
 *   file -> conf_source (text) -> libconfig (tree) -> this walk over the tree,
 *   row by row (conf_value checks each) -> conf_check (between the rows)
 *
 * The only file that knows libconfig. Each step reports all that it finds; the
 * walk and the checks are both done whenever there is a tree to walk, so that
 * somebody who edits a config sees every mistake at once.
 */
#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/conf_check.h"
#include "core/conf_source.h"

#define MAX_DEPTH 64 /* of `settings` */

struct load {
	struct conf *conf;
	struct conf_source source;
	struct conf_places places;
	struct conf_errors *errors;
	char *folder;
};

static const struct conf_place *
place_of(const struct load *load, const config_setting_t *setting)
{
	return conf_source_place(&load->source,
	    config_setting_source_line(setting));
}

static void
fail(const struct load *load, const config_setting_t *setting, const char *path,
    const char *what)
{
	const struct conf_place *place = place_of(load, setting);

	conf_errors_add(load->errors, "%s:%d: '%s' %s", place->file,
	    place->line, path, what);
}

static json_t *to_json(const config_setting_t *setting, int depth,
    struct why *why);

static json_t *
members_to_json(const config_setting_t *setting, int depth, struct why *why)
{
	bool group = config_setting_is_group(setting);
	json_t *all = group ? json_object() : json_array(), *one;
	const config_setting_t *member;

	for (int i = 0; i < config_setting_length(setting); i++) {
		member = config_setting_get_elem(setting, (unsigned)i);
		one = to_json(member, depth + 1, why);
		if (one == NULL) {
			json_decref(all);
			return NULL;
		}
		if (group)
			json_object_set_new(all, config_setting_name(member),
			    one);
		else
			json_array_append_new(all, one);
	}
	return all;
}

/* NULL with the reason when it has no place in JSON. */
static json_t *
to_json(const config_setting_t *setting, int depth, struct why *why)
{
	json_t *value;

	if (depth > MAX_DEPTH) {
		why_set(why, "is nested more than %d deep", MAX_DEPTH);
		return NULL;
	}
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(setting));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(setting));
	case CONFIG_TYPE_FLOAT:
		value = json_real(config_setting_get_float(setting));
		if (value == NULL)
			why_set(why, "is too large a number");
		return value;
	case CONFIG_TYPE_STRING:
		value = json_string(config_setting_get_string(setting));
		if (value == NULL)
			why_set(why, "is no valid UTF-8");
		return value;
	default:
		return members_to_json(setting, depth, why);
	}
}

/* How a setting of the wrong shape is called. */
static const char *
shape_name(const config_setting_t *setting)
{
	if (config_setting_is_group(setting))
		return "a group";
	if (config_setting_is_scalar(setting))
		return "a single value";
	return "a list";
}

static void load_binds(struct load *load, const config_setting_t *setting,
    const char *path, struct conf_binds *binds);

static void
load_key(struct load *load, const config_setting_t *setting, const char *path,
    const struct conf_row *row, void *member)
{
	struct conf_places *places = &load->places;
	struct why why;
	json_t *value;

	if (row->type == CONF_BINDS) {
		load_binds(load, setting, path, member);
		return;
	}
	value = to_json(setting, 0, &why);
	if (value == NULL) {
		fail(load, setting, path, why.text);
		return;
	}
	conf_value_release(row, member);
	if (conf_value_set(row, value, load->folder, member, &why) < 0) {
		fail(load, setting, path, why.text);
		conf_value_default(row, member);
	} else {
		places->v = mem_grow(places->v, places->n + 1,
		    sizeof(*places->v));
		places->v[places->n++] = (struct conf_placed){ member,
			*place_of(load, setting) };
	}
	json_decref(value);
}

/* Another section's key of exactly this name: people forget the group. */
static const char *
find_elsewhere(const char *name)
{
	for (size_t s = 0; s < conf_sections; s++)
		if (!conf_section[s].list &&
		    conf_row_find(&conf_section[s], name) != NULL)
			return conf_section[s].path;
	return NULL;
}

/* `path` is the unknown key, `name` its last part. */
static void
fail_unknown(const struct load *load, const config_setting_t *setting,
    const char *path, const struct conf_section *section,
    const char *section_path)
{
	const struct conf_place *place = place_of(load, setting);
	const char *name = config_setting_name(setting), *near, *elsewhere;
	struct conf_subsection sub[CONF_SUBSECTIONS];
	size_t subs = conf_subsections(section_path, sub), rows = 0;
	const struct conf_row *row = section ? section->rows(&rows) : NULL;
	const char **names = mem_array(rows + subs + 1, sizeof(*names));
	int group = (int)(strlen(path) - strlen(name));

	for (size_t i = 0; i < rows; i++)
		names[i] = row[i].name;
	for (size_t i = 0; i < subs; i++)
		names[rows + i] = mem_printf("%.*s", (int)sub[i].len,
		    sub[i].name);
	near = conf_nearest(name, names, rows + subs);
	elsewhere = near == NULL ? find_elsewhere(name) : NULL;
	if (near != NULL)
		conf_errors_add(load->errors,
		    "%s:%d: unknown key '%s'; did you mean '%.*s%s'?",
		    place->file, place->line, path, group, path, near);
	else if (elsewhere != NULL)
		conf_errors_add(load->errors,
		    "%s:%d: unknown key '%s'; did you mean '%s.%s'?",
		    place->file, place->line, path, elsewhere, name);
	else
		conf_errors_add(load->errors,
		    "%s:%d: unknown key '%s'; brood.conf(5) describes those "
		    "there are",
		    place->file, place->line, path);
	for (size_t i = 0; i < subs; i++)
		free((char *)(uintptr_t)names[rows + i]);
	free(names);
}

static void load_list(struct load *load, const config_setting_t *setting,
    const struct conf_section *section);

static bool
has_subsections(const char *path)
{
	struct conf_subsection sub[CONF_SUBSECTIONS];

	return conf_subsections(path, sub) > 0;
}

/*
 * The members of a group. `path` is what it is called in messages,
 * "rest.routes[2]"; `section` describes its own keys (NULL: it has none) and
 * they go to `base`; `section_path` is where its subgroups are looked for.
 */
static void
load_group(struct load *load, const config_setting_t *setting, const char *path,
    const struct conf_section *section, void *base, const char *section_path)
{
	const char *dot = path[0] != '\0' ? "." : "";

	if (!config_setting_is_group(setting)) {
		struct why why;

		why_set(&why, "is %s, but must be a group, { … }",
		    shape_name(setting));
		fail(load, setting, path, why.text);
		return;
	}
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *member =
		    config_setting_get_elem(setting, (unsigned)i);
		const char *name = config_setting_name(member);
		const struct conf_row *row = section != NULL ?
		    conf_row_find(section, name) :
		    NULL;
		char *full = mem_printf("%s%s%s", path, dot, name);
		const struct conf_section *inner = conf_section_find(full);

		if (row != NULL)
			load_key(load, member, full, row,
			    (char *)base + row->offset);
		else if (inner != NULL && inner->list)
			load_list(load, member, inner);
		else if (inner != NULL || has_subsections(full))
			load_group(load, member, full, inner,
			    inner != NULL ? conf_section_at(load->conf, inner) :
					    NULL,
			    full);
		else
			fail_unknown(load, member, full, section, section_path);
		free(full);
	}
}

static void
check_given(const struct load *load, const config_setting_t *setting,
    const char *path, const struct conf_section *section)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);
	struct why why;

	for (size_t i = 0; i < n; i++) {
		if (row[i].def != NULL ||
		    config_setting_get_member(setting, row[i].name) != NULL)
			continue;
		why_set(&why, "has no '%s'; it must be given (%s)", row[i].name,
		    row[i].help);
		fail(load, setting, path, why.text);
	}
}

static void
load_item(struct load *load, const config_setting_t *setting, const char *path,
    const struct conf_section *section, size_t i)
{
	void *item = conf_list_item(load->conf, section, i);

	*(struct conf_place *)item = *place_of(load, setting);
	conf_item_default(section, item);
	/* inside of an item there are no further sections */
	load_group(load, setting, path, section, item, path);
	if (config_setting_is_group(setting))
		check_given(load, setting, path, section);
}

/* False, with the error, when it is no list of groups. */
static bool
list_ok(const struct load *load, const config_setting_t *setting,
    const char *path)
{
	struct why why;

	if (config_setting_is_list(setting) ||
	    (config_setting_is_array(setting) &&
		config_setting_length(setting) == 0))
		return true;
	why_set(&why, "is %s, but must be a list of groups, ( { … }, { … } )",
	    config_setting_is_array(setting) ? "an array" :
					       shape_name(setting));
	fail(load, setting, path, why.text);
	return false;
}

static void
load_list(struct load *load, const config_setting_t *setting,
    const struct conf_section *section)
{
	struct conf_list *list = conf_list_at(load->conf, section);
	char *path;
	size_t n;

	if (!list_ok(load, setting, section->path))
		return;
	n = (size_t)config_setting_length(setting);
	/* allocated before any member's place is noted */
	list->v = mem_array(n + 1, section->size);
	for (list->n = 0; list->n < n; list->n++) {
		path = mem_printf("%s[%zu]", section->path, list->n);
		load_item(load,
		    config_setting_get_elem(setting, (unsigned)list->n), path,
		    section, list->n);
		free(path);
	}
}

/* Like a list, but within an item of one. What lacks its exchange goes. */
static void
load_binds(struct load *load, const config_setting_t *setting, const char *path,
    struct conf_binds *binds)
{
	const struct conf_section *section = &conf_bind_section;
	size_t n;

	if (!list_ok(load, setting, path))
		return;
	n = (size_t)config_setting_length(setting);
	binds->v = mem_array(n + 1, sizeof(*binds->v));
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *group = config_setting_get_elem(setting,
		    (unsigned)i);
		struct conf_bind *bind = &binds->v[binds->n];
		char *full = mem_printf("%s[%zu]", path, i);

		conf_item_default(section, bind);
		load_group(load, group, full, section, bind, full);
		if (config_setting_is_group(group))
			check_given(load, group, full, section);
		if (bind->exchange != NULL)
			binds->n++;
		else
			free(bind->key);
		free(full);
	}
}

/* Absolute, so that a reload finds it from anywhere. */
static char *
absolute(const char *file)
{
	char *cwd = getcwd(NULL, 0);
	char *full = conf_absolute(cwd != NULL ? cwd : "", file);

	free(cwd);
	return full;
}

static void
load_tree(struct load *load, config_t *tree)
{
	const struct conf_place *place;

	if (config_read_string(tree,
		load->source.text.data != NULL ? load->source.text.data : "")) {
		load_group(load, config_root_setting(tree), "", NULL, NULL, "");
		return;
	}
	place = conf_source_place(&load->source,
	    (unsigned)config_error_line(tree));
	conf_errors_add(load->errors, "%s:%d: %s%s", place->file, place->line,
	    config_error_text(tree),
	    strcmp(config_error_text(tree), "syntax error") == 0 ?
		"; a ';' or a bracket is missing here or above" :
		"");
}

struct conf *
conf_read(const char *file, struct conf_errors *errors)
{
	struct load load = { .conf = conf_defaults(), .errors = errors };
	struct conf *conf = load.conf;
	size_t before = errors->n;
	bool walked = false;
	config_t tree;

	free(conf->file);
	conf->file = absolute(file);
	load.folder = mem_strdup(conf->file);
	*strrchr(load.folder, '/') = '\0';
	config_init(&tree);
	if (conf_source_read(&load.source, conf->file, load.folder, errors) ==
	    0) {
		load_tree(&load, &tree);
		walked = config_error_text(&tree) == NULL;
		if (walked)
			conf_check(conf, load.folder, &load.places, before,
			    errors);
	}
	config_destroy(&tree);
	conf->files = load.source.files;
	load.source.files = (struct conf_strings){ 0 };
	conf_source_release(&load.source);
	free(load.places.v);
	free(load.folder);
	if (walked) {
		conf_prune(conf);
		return conf;
	}
	conf_free(conf);
	return NULL;
}

struct conf *
conf_load(const char *file, struct conf_errors *errors)
{
	size_t before = errors->n;
	struct conf *conf = conf_read(file, errors);

	if (errors->n == before)
		return conf;
	conf_free(conf);
	return NULL;
}
