/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer - how broodctl tells the outcome of a command.
 *
 * Every command ends in exactly one of ctl_done(), ctl_fail() and ctl_answer(),
 * or prints its facts itself. Success goes to stdout, failure to stderr with
 * the program's name before each line; with --json either is one object on
 * stdout, of the same shape as an answer of the master. What others wrote is
 * stripped of control characters first.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/format.h"

#define ANSWER_CODE_MAX 125 /* above, a shell uses them itself */

void
ctl_print_json(const json_t *value, size_t digits)
{
	char *text = json_dumps(value,
	    JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));

	if (text == NULL) {
		fprintf(stderr, "broodctl: cannot write the answer as JSON\n");
		return;
	}
	puts(text);
	free(text);
}

/* Line by line, with `prefix` before each. */
static void
answer_print(FILE *out, const char *prefix, const char *text)
{
	char *copy = mem_strdup(text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		fprintf(out, "%s%s\n", prefix, format_clean(line));
	free(copy);
}

void
ctl_event(const struct ctl *ctl, const char *text)
{
	if (!ctl->quiet && !ctl->json)
		answer_print(stderr, "", text);
}

static int
answer_tell(const struct ctl *ctl, int code, const char *message)
{
	json_t *answer;

	if (ctl->json) {
		answer = json_pack("{s:b, s:i, s:s}", "ok", code == CMD_OK,
		    "code", code, "message", message);
		/* NULL for a message that is no UTF-8: a path, say */
		if (answer == NULL)
			answer = json_pack("{s:b, s:i, s:s}", "ok",
			    code == CMD_OK, "code", code, "message",
			    "(a message that is not UTF-8)");
		ctl_print_json(answer, 17);
		json_decref(answer);
	} else if (code != CMD_OK) {
		answer_print(stderr, "broodctl: ", message);
	} else if (!ctl->quiet) {
		answer_print(stdout, "", message);
	}
	return code;
}

int
ctl_done(const struct ctl *ctl, const char *format, ...)
{
	char *message;
	va_list ap;

	va_start(ap, format);
	message = mem_vprintf(format, ap);
	va_end(ap);
	answer_tell(ctl, CMD_OK, message);
	free(message);
	return CMD_OK;
}

int
ctl_fail(const struct ctl *ctl, int code, const char *format, ...)
{
	char *message;
	va_list ap;

	va_start(ap, format);
	message = mem_vprintf(format, ap);
	va_end(ap);
	answer_tell(ctl, code, message);
	free(message);
	return code;
}

int
ctl_answer(const struct ctl *ctl, const json_t *answer)
{
	const char *message = json_string_value(
	    json_object_get(answer, "message"));
	bool ok = json_is_true(json_object_get(answer, "ok"));
	const json_t *given = json_object_get(answer, "code");
	json_int_t code = json_integer_value(given);

	/* "ok" decides; a code that contradicts it is not passed on. */
	if (ok)
		code = CMD_OK;
	else if (!json_is_integer(given) || code < 1 || code > ANSWER_CODE_MAX)
		code = CMD_FAILED;
	if (message == NULL || *message == '\0')
		message = ok ? "done" :
			       "failed, and the master did not say why; see "
			       "the log";
	if (ctl->json)
		ctl_print_json(answer, 17);
	else
		answer_tell(ctl, (int)code, message);
	return (int)code;
}
