/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_line - the bytes of one log line.
 *
 * Called by log only. A line that is too long keeps its head and its fields,
 * and loses the end of its message: the fields are what a program looks for.
 * JSON stays valid, and nothing that a terminal obeys gets through.
 *
 *	head | message … | fields | end
 *
 * No malloc, no state: a freshly forked child may log. What limits a line is
 * passed down as `end`, the offset that a write must not go beyond.
 */
#include "base/log_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "base/utf8.h"

#define LINE_ID_MAX 256	     /* bytes that the member `id` may take */
#define LINE_FIELDS_MAX 2048 /* and all fields; those beyond are left out */
#define LINE_CUT "…"
#define LINE_CUT_LEN (sizeof(LINE_CUT) - 1)

/* How a string is written. */
enum line_style {
	LINE_PLAIN,  /* text: as it is, but for control bytes */
	LINE_QUOTED, /* text: between quotes */
	LINE_JSON,
};

/* Appends as far as `end`, and says whether it fitted; else nothing. */
static bool
line_put(struct log_line *line, size_t end, const char *bytes, size_t n)
{
	if (line->len > end || n > end - line->len)
		return false;
	memcpy(line->bytes + line->len, bytes, n);
	line->len += n;
	return true;
}

__attribute__((format(printf, 3, 4))) static bool
line_printf(struct log_line *line, size_t end, const char *format, ...)
{
	char text[160];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < sizeof(text) &&
	    line_put(line, end, text, (size_t)n);
}

/* A terminal obeys U+0080 to U+009F just as it does the bytes below a space. */
static bool
is_control(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];

	return (n == 1 && (c < 0x20 || c == 0x7f)) ||
	    (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

/*
 * Writes the character at s, escaped as the style asks, and returns how many
 * bytes of s it was; 0 when it did not fit.
 */
static size_t
line_put_char(struct log_line *line, size_t end, const char *s,
    enum line_style style)
{
	size_t n = utf8_sequence(s, SIZE_MAX);
	bool bare = n > 0 && !is_control(s, n);
	unsigned first = (unsigned char)s[0];
	bool done;

	if (bare && ((*s != '"' && *s != '\\') || style == LINE_PLAIN))
		done = line_put(line, end, s, n);
	else if (bare)
		done = line_printf(line, end, "\\%c", *s);
	else if (first == '\n')
		done = line_put(line, end, "\\n", 2);
	else if (n == 0 && style == LINE_JSON)
		done = line_put(line, end, "\uFFFD", strlen("\uFFFD"));
	else if (style == LINE_JSON)
		done = line_printf(line, end, "\\u%04x",
		    n == 1 ? first : (unsigned char)s[1]);
	else if (n == 2)
		done = line_printf(line, end, "\\x%02X\\x%02X", first,
		    (unsigned char)s[1]);
	else
		done = line_printf(line, end, "\\x%02X", first);
	if (!done)
		return 0;
	return n > 0 ? n : 1;
}

/* Writes a string as far as `end`; what does not fit is replaced by "…". */
static void
line_put_string(struct log_line *line, size_t end, const char *s,
    enum line_style style)
{
	size_t cut = line->len, n;

	while (*s != '\0') {
		/* The last place where the mark of a cut still fits. */
		if (line->len + LINE_CUT_LEN <= end)
			cut = line->len;
		n = line_put_char(line, end, s, style);
		if (n == 0) {
			line->len = cut;
			line_put(line, end, LINE_CUT, LINE_CUT_LEN);
			return;
		}
		s += n;
	}
}

/* Whether a value of a text line is ambiguous without quotes. */
static bool
needs_quotes(const char *s)
{
	size_t n;

	if (*s == '\0')
		return true;
	for (; *s != '\0'; s += n) {
		n = utf8_sequence(s, SIZE_MAX);
		if (n == 0 || is_control(s, n) || strchr(" \"\\=", *s) != NULL)
			return true;
	}
	return false;
}

/* A string between quotes, or bare where text allows it; false, and nothing
 * written, when not even a cut one fits. */
static bool
line_put_value(struct log_line *line, size_t end, const char *s,
    enum log_format format)
{
	enum line_style style = format == LOG_FORMAT_JSON ? LINE_JSON :
							    LINE_QUOTED;

	if (line->len + LINE_CUT_LEN + 2 > end)
		return false;
	if (format == LOG_FORMAT_TEXT && !needs_quotes(s)) {
		line_put_string(line, end, s, LINE_PLAIN);
		return true;
	}
	line_put(line, end, "\"", 1);
	line_put_string(line, end - 1, s, style);
	return line_put(line, end, "\"", 1);
}

/* A whole member, or nothing. */
static void
line_put_member(struct log_line *line, size_t end, enum log_format format,
    const struct log_field *field)
{
	size_t start = line->len;
	bool done;

	done = line_printf(line, end,
	    format == LOG_FORMAT_JSON ? ",\"%s\":" : " %s=", field->key);
	if (done && field->text != NULL)
		done = line_put_value(line, end, field->text, format);
	else if (done)
		done = line_printf(line, end, "%" PRId64, field->number);
	if (!done)
		line->len = start;
}

/* What a line of syslog begins with: RFC 3164, local time, English. */
static void
line_put_syslog(struct log_line *line, const struct log_head *head)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int priority[LOG_LEVEL_COUNT] = {
		[LOG_LEVEL_DEBUG] = LOG_DEBUG,
		[LOG_LEVEL_INFO] = LOG_INFO,
		[LOG_LEVEL_NOTICE] = LOG_NOTICE,
		[LOG_LEVEL_WARNING] = LOG_WARNING,
		[LOG_LEVEL_ERROR] = LOG_ERR,
	};
	time_t now = (time_t)(head->wall_ns / NS_PER_S);
	struct tm tm = { .tm_mday = 1 };

	localtime_r(&now, &tm);
	line_printf(line, LOG_LINE_MAX, "<%d>%.3s %2d %02d:%02d:%02d %s[%d]: ",
	    LOG_DAEMON | priority[head->level], months + 3 * tm.tm_mon,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, head->tag,
	    (int)head->pid);
}

/* Everything before the message. */
static void
line_put_head(struct log_line *line, const struct log_head *head)
{
	bool json = head->format == LOG_FORMAT_JSON;
	const char *level = log_level_name(head->level);
	const struct log_field slot = { "slot", NULL, head->slot },
			       generation = { json ? "generation" : "gen", NULL,
				       head->generation },
			       id = { "id", head->request, 0 };
	char stamp[CLOCK_TEXT_SIZE];
	size_t end = LOG_LINE_MAX;

	if (head->tag != NULL)
		line_put_syslog(line, head);
	clock_format_wall(head->wall_ns, stamp);
	if (json)
		line_printf(line, end,
		    "{\"time\":\"%s\",\"level\":\"%s\","
		    "\"role\":\"%s\",\"pid\":%d",
		    stamp, level, head->role, (int)head->pid);
	else if (head->tag != NULL) /* which tells time, level and pid */
		line_printf(line, end, "%s", head->role);
	else
		line_printf(line, end, "%s %s %s[%d]", stamp, level, head->role,
		    (int)head->pid);

	if (head->slot != -1) {
		line_put_member(line, end, head->format, &slot);
		line_put_member(line, end, head->format, &generation);
	}
	if (head->request != NULL)
		line_put_member(line, line->len + LINE_ID_MAX, head->format,
		    &id);
}

void
log_line_build(struct log_line *line, const struct log_head *head,
    const char *message, const struct log_field *fields, size_t n)
{
	bool json = head->format == LOG_FORMAT_JSON;
	const char *last = json ? "}\n" : "\n";
	const char *quote = json ? "\"" : "";
	struct log_line tail;
	size_t rest;

	line->len = 0;
	tail.len = 0;
	for (size_t i = 0; i < n; i++)
		line_put_member(&tail, LINE_FIELDS_MAX, head->format,
		    &fields[i]);
	rest = strlen(quote) + tail.len + strlen(last);

	line_put_head(line, head);
	line_printf(line, LOG_LINE_MAX, json ? ",\"message\":\"" : " ");
	line_put_string(line, LOG_LINE_MAX - rest, message,
	    json ? LINE_JSON : LINE_PLAIN);
	line_put(line, LOG_LINE_MAX, quote, strlen(quote));
	line_put(line, LOG_LINE_MAX, tail.bytes, tail.len);
	line_put(line, LOG_LINE_MAX, last, strlen(last));
}
