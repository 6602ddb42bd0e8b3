/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_source - reads the characters of a config: comments, texts, names,
 * numbers and @include, and leaves the grammar to libconfig.
 *
 * The text that comes out has no comments and no includes, keeps the lines (so
 * that each can be traced to its file) and writes every whole number in decimal
 * with an L behind it, which makes libconfig read 64 bits. A number that begins
 * with 0 is octal, as in C. Bounded in size and depth.
 */
#include "core/conf_source.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"

#define MAX_BYTES (4U << 20) /* of a file, and of all of them together */
#define MAX_DEPTH 10

struct scan {
	struct conf_source *source;
	struct conf_errors *errors;
	const char *folder;
	const char *at; /* what is read next */
	struct conf_place place;
	int depth;
};

static int scan_file(const struct scan *from, const char *file);

static int
fail(const struct scan *scan, const char *what)
{
	conf_errors_add(scan->errors, "%s:%d: %s", scan->place.file,
	    scan->place.line, what);
	return -1;
}

static int
put(struct scan *scan, const char *bytes, size_t len)
{
	if (buf_append(&scan->source->text, bytes, len) < 0)
		return fail(scan, "the config is larger than 4 MB");
	return 0;
}

/* From here on the text comes from this place. */
static void
mark_line(struct scan *scan)
{
	struct conf_source *source = scan->source;

	source->line = mem_grow(source->line, source->lines + 1,
	    sizeof(*source->line));
	source->line[source->lines++] = scan->place;
}

static int
scan_newline(struct scan *scan)
{
	scan->at++;
	scan->place.line++;
	if (put(scan, "\n", 1) < 0)
		return -1;
	mark_line(scan);
	return 0;
}

static int
scan_comment(struct scan *scan)
{
	struct conf_place start = scan->place;

	if (scan->at[0] == '#' || scan->at[1] == '/') {
		scan->at += strcspn(scan->at, "\n");
		return 0;
	}
	for (scan->at += 2; strncmp(scan->at, "*/", 2) != 0;) {
		if (*scan->at == '\0') {
			scan->place = start;
			return fail(scan,
			    "the comment that starts here has no end; write "
			    "*/");
		}
		if (*scan->at != '\n')
			scan->at++;
		else if (scan_newline(scan) < 0)
			return -1;
	}
	scan->at += 2;
	return put(scan, " ", 1);
}

/* The length of a text with its quotes, 0 when it does not end on its line. */
static size_t
text_length(const char *text)
{
	size_t len = 1;

	for (;;) {
		len += strcspn(text + len, "\"\\\n");
		if (text[len] == '"')
			return len + 1;
		if (text[len] != '\\' || text[len + 1] == '\0' ||
		    text[len + 1] == '\n')
			return 0;
		len += 2;
	}
}

static int
scan_text(struct scan *scan)
{
	size_t len = text_length(scan->at);

	if (len == 0)
		return fail(scan,
		    "the text that starts here has no closing quote on its "
		    "line");
	if (put(scan, scan->at, len) < 0)
		return -1;
	scan->at += len;
	return 0;
}

/* Of what looks like a number; takes 1e-5 in one, but 1-5 apart. */
static size_t
number_length(const char *text)
{
	size_t len = text[0] == '+' || text[0] == '-';
	bool hex = text[len] == '0' &&
	    tolower((unsigned char)text[len + 1]) == 'x';

	for (;; len++) {
		if (isalnum((unsigned char)text[len]) || text[len] == '.' ||
		    text[len] == '_')
			continue;
		if ((text[len] == '+' || text[len] == '-') && len > 1 && !hex &&
		    tolower((unsigned char)text[len - 1]) == 'e')
			continue;
		return len;
	}
}

/* What is left of a whole number after its digits; libconfig knows 1L, 1LL. */
static bool
ends_integer(const char *end)
{
	return strcmp(end, "") == 0 || strcmp(end, "L") == 0 ||
	    strcmp(end, "LL") == 0;
}

static int
put_real(struct scan *scan, const char *number)
{
	size_t digits = strcspn(number, "eE");

	/* libconfig wants a point in it */
	if (memchr(number, '.', digits) != NULL)
		return put(scan, number, strlen(number));
	return put(scan, number, digits) < 0 || put(scan, ".0", 2) < 0 ||
		put(scan, number + digits, strlen(number + digits)) < 0 ?
	    -1 :
	    0;
}

static int
scan_number(struct scan *scan)
{
	size_t len = number_length(scan->at);
	char number[64], what[160], *end;
	long long n;

	if (len >= sizeof(number))
		return fail(scan, "a number is too long");
	memcpy(number, scan->at, len);
	number[len] = '\0';
	scan->at += len;
	errno = 0;
	n = strtoll(number, &end, 0);
	if (end > number && ends_integer(end)) {
		if (errno == ERANGE) {
			snprintf(what, sizeof(what),
			    "the number %s is too large", number);
			return fail(scan, what);
		}
		snprintf(number, sizeof(number), "%lldL", n);
		return put(scan, number, strlen(number));
	}
	strtod(number, &end);
	if (end > number && *end == '\0' && strpbrk(number, "xXnN") == NULL &&
	    strpbrk(number, ".eE") != NULL)
		return put_real(scan, number);
	if (number[strspn(number, "0123456789")] == '\0')
		snprintf(what, sizeof(what),
		    "the number %s begins with 0, which makes it octal, but "
		    "has a digit beyond 7",
		    number);
	else
		snprintf(what, sizeof(what),
		    "'%s' is no number; a text, \"64k\" say, goes in quotes",
		    number);
	return fail(scan, what);
}

/* @include "file", first on its line. The rest of the line stays. */
static int
scan_include(struct scan *scan)
{
	const char *quote = scan->at + strlen("@include");
	char *name, *file;
	size_t len;
	int rc;

	quote += strspn(quote, " \t");
	len = *quote == '"' ? text_length(quote) : 0;
	if (len <= 2)
		return fail(scan, "@include wants a file name in quotes");
	if (scan->depth == MAX_DEPTH)
		return fail(scan,
		    "included more than 10 deep; does the file include "
		    "itself?");
	name = mem_printf("%.*s", (int)(len - 2), quote + 1);
	file = conf_absolute(scan->folder, name);
	free(name);
	rc = put(scan, "\n", 1);
	if (rc == 0)
		rc = scan_file(scan, file);
	free(file);
	scan->at = quote + len;
	if (rc == 0)
		rc = put(scan, "\n", 1);
	if (rc == 0)
		mark_line(scan);
	return rc;
}

/* One token, or one character of it that is none. */
static int
scan_token(struct scan *scan)
{
	const char *at = scan->at;
	size_t len = 1;

	if (*at == '\n')
		return scan_newline(scan);
	if (*at == '#' || (*at == '/' && (at[1] == '/' || at[1] == '*')))
		return scan_comment(scan);
	if (*at == '"')
		return scan_text(scan);
	if (isdigit((unsigned char)*at) ||
	    (strchr("+-.", *at) != NULL && isalnum((unsigned char)at[1])) ||
	    (strchr("+-", *at) != NULL && at[1] == '.'))
		return scan_number(scan);
	if (isalpha((unsigned char)*at) || *at == '*')
		while (isalnum((unsigned char)at[len]) ||
		    (at[len] != '\0' && strchr("_-*", at[len]) != NULL))
			len++;
	scan->at += len;
	return put(scan, at, len);
}

static int
scan_bytes(struct scan *scan)
{
	size_t before = scan->errors->n;
	bool line_start = true;

	mark_line(scan);
	while (*scan->at != '\0') {
		if (line_start && strncmp(scan->at, "@include", 8) == 0) {
			/* what follows would be misread without it */
			if (scan_include(scan) < 0)
				return -1;
			line_start = false;
			continue;
		}
		line_start = *scan->at == '\n' ||
		    (line_start && (*scan->at == ' ' || *scan->at == '\t'));
		if (scan_token(scan) == 0)
			continue;
		/* go on with the next line: there may be more to say */
		scan->at += strcspn(scan->at, "\n");
		if (scan->errors->n - before > 20)
			break;
	}
	return scan->errors->n == before ? 0 : -1;
}

static int
cannot_read(const struct scan *from, const char *file, const char *what,
    const char *advice)
{
	if (from->depth > 0)
		conf_errors_add(from->errors, "%s:%d: cannot include %s: %s%s",
		    from->place.file, from->place.line, file, what, advice);
	else
		conf_errors_add(from->errors, "cannot read the config %s: %s%s",
		    file, what, advice);
	return -1;
}

static const char *
add_file(struct conf_source *source, const char *file)
{
	struct conf_strings *files = &source->files;

	files->v = mem_grow(files->v, files->n + 1, sizeof(char *));
	return files->v[files->n++] = mem_strdup(file);
}

static int
scan_file(const struct scan *from, const char *file)
{
	struct scan scan = *from;
	struct stat st;
	size_t len;
	char *bytes;
	int rc;

	/* a FIFO would block the master */
	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
		return cannot_read(from, file,
		    S_ISDIR(st.st_mode) ? "it is a folder" :
					  "it is no regular file",
		    "");
	bytes = fd_read_file(file, MAX_BYTES, &len);
	if (bytes == NULL)
		return cannot_read(from, file, strerror(errno),
		    errno == ENOENT && from->depth == 0 ?
			"; name one with -c FILE" :
			"");
	scan.place.file = add_file(scan.source, file);
	scan.place.line = 1;
	scan.depth++;
	scan.at = bytes;
	if (strlen(bytes) != len)
		rc = cannot_read(from, file, "it holds a NUL byte", "");
	else
		rc = scan_bytes(&scan);
	free(bytes);
	return rc;
}

int
conf_source_read(struct conf_source *source, const char *file,
    const char *folder, struct conf_errors *errors)
{
	struct scan scan = {
		.source = source,
		.errors = errors,
		.folder = folder,
	};

	memset(source, 0, sizeof(*source));
	buf_init(&source->text, MAX_BYTES);
	return scan_file(&scan, file);
}

void
conf_source_release(struct conf_source *source)
{
	buf_release(&source->text);
	free(source->line);
	for (size_t i = 0; i < source->files.n; i++)
		free(source->files.v[i]);
	free(source->files.v);
	memset(source, 0, sizeof(*source));
}

const struct conf_place *
conf_source_place(const struct conf_source *source, unsigned n)
{
	if (n == 0)
		n = 1;
	return &source->line[n <= source->lines ? n - 1 : source->lines - 1];
}
