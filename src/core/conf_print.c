/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_print - the effective config (broodd -T) and the table of keys
 * (broodd -K).
 *
 * -T prints every key, given or not, so that its output is a whole config: it
 * loads, and prints the same again. -K is what the documentation is checked
 * against.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/conf_table.h"

static void
indent(int depth, FILE *out)
{
	for (int i = 0; i < depth; i++)
		putc('\t', out);
}

static void
print_strings(const struct conf_strings *strings, FILE *out)
{
	fputs("[ ", out);
	for (size_t i = 0; i < strings->n; i++) {
		if (i > 0)
			fputs(", ", out);
		conf_text_print(strings->v[i], out);
	}
	fputs(" ]", out);
}

static void
print_choice(const struct conf_row *row, int choice, FILE *out)
{
	const char *word = row->unit;

	for (; choice > 0; choice--)
		word += strcspn(word, "|") + 1;
	fprintf(out, "\"%.*s\"", (int)strcspn(word, "|"), word);
}

static void
print_binds(const struct conf_binds *binds, FILE *out)
{
	putc('(', out);
	for (size_t i = 0; i < binds->n; i++) {
		fputs(i > 0 ? ", { exchange = " : " { exchange = ", out);
		conf_text_print(binds->v[i].exchange, out);
		fputs("; key = ", out);
		conf_text_print(binds->v[i].key, out);
		fputs("; }", out);
	}
	fputs(binds->n > 0 ? " )" : ")", out);
}

void
conf_value_print(const struct conf_row *row, const void *member, FILE *out)
{
	switch (row->type) {
	case CONF_INT:
		fprintf(out, strcmp(row->unit, "mode") == 0 ? "%#o" : "%d",
		    *(const int *)member);
		break;
	case CONF_SIZE:
		fprintf(out, "%zu", *(const size_t *)member);
		break;
	case CONF_SECONDS:
		conf_text_print_real(clock_to_seconds(*(const int64_t *)member),
		    out);
		break;
	case CONF_BOOL:
		fputs(*(const bool *)member ? "true" : "false", out);
		break;
	case CONF_CHOICE:
		print_choice(row, *(const int *)member, out);
		break;
	case CONF_STRINGS:
		print_strings(member, out);
		break;
	case CONF_BINDS:
		print_binds(member, out);
		break;
	case CONF_SETTINGS:
		conf_text_print_json(*(json_t *const *)member, out);
		break;
	default:
		conf_text_print(*(char *const *)member, out);
	}
}

static void
print_rows(const struct conf_section *section, const void *base, int depth,
    FILE *out)
{
	size_t n;
	const struct conf_row *row = section->rows(&n);

	for (size_t i = 0; i < n; i++) {
		indent(depth, out);
		fprintf(out, "%s = ", row[i].name);
		conf_value_print(&row[i], (const char *)base + row[i].offset,
		    out);
		fputs(";\n", out);
	}
}

static void
print_list(const struct conf *conf, const struct conf_section *section,
    int depth, FILE *out)
{
	size_t n = conf_list_at(conf, section)->n;

	fputs("(", out);
	for (size_t i = 0; i < n; i++) {
		fputs(i > 0 ? ", {\n" : "{\n", out);
		print_rows(section, conf_list_item(conf, section, i), depth + 1,
		    out);
		indent(depth, out);
		fputs("}", out);
	}
	fputs(");\n", out);
}

/* The members of the group at `path`: its keys, then its subgroups. */
static void
print_group(const struct conf *conf, const char *path, int depth, FILE *out)
{
	const struct conf_section *section = conf_section_find(path);
	struct conf_subsection sub[CONF_SUBSECTIONS];
	size_t subs = conf_subsections(path, sub);
	const char *dot = path[0] != '\0' ? "." : "";

	if (section != NULL)
		print_rows(section, conf_section_at(conf, section), depth, out);
	for (size_t i = 0; i < subs; i++) {
		char *full = mem_printf("%s%s%.*s", path, dot, (int)sub[i].len,
		    sub[i].name);
		const struct conf_section *inner = conf_section_find(full);

		indent(depth, out);
		fprintf(out, "%.*s = ", (int)sub[i].len, sub[i].name);
		if (inner != NULL && inner->list)
			print_list(conf, inner, depth, out);
		else {
			fputs("{\n", out);
			print_group(conf, full, depth + 1, out);
			indent(depth, out);
			fputs("};\n", out);
		}
		free(full);
	}
}

void
conf_print(const struct conf *conf, FILE *out)
{
	print_group(conf, "", 0, out);
}

void
conf_value_print_default(const struct conf_row *row, FILE *out)
{
	switch (row->def == NULL ? CONF_SETTINGS : row->type) {
	case CONF_SETTINGS:
		fputs(row->def != NULL ? row->def : "required", out);
		break;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_SECONDS:
	case CONF_BOOL:
		fputs(row->def, out);
		break;
	case CONF_BINDS:
		fputs("()", out);
		break;
	case CONF_STRINGS:
		fprintf(out, "[ \"%s\" ]", row->def);
		break;
	default:
		conf_text_print(row->def, out);
	}
}

static void
print_key(const struct conf_section *section, const struct conf_row *row,
    FILE *out)
{
	bool bounded = row->min != 0 || row->max != 0;

	fprintf(out, "%s%s.%s\t%s\t", section->path, section->list ? "[]" : "",
	    row->name, row->type_name);
	conf_value_print_default(row, out);
	/* no field is empty, which a shell's read would skip */
	fprintf(out, "\t%s\t%s\t%s\t%s\t%s\n", bounded ? row->min_text : "-",
	    bounded ? row->max_text : "-",
	    row->unit[0] != '\0' ? row->unit : "-",
	    row->apply == CONF_RESTART ? "restart" : "reload", row->help);
}

void
conf_print_keys(FILE *out)
{
	for (size_t s = 0; s < conf_sections; s++) {
		size_t n;
		const struct conf_row *row = conf_section[s].rows(&n);

		for (size_t i = 0; i < n; i++)
			print_key(&conf_section[s], &row[i], out);
	}
}
