/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo - starts the e-mail cruncher and asks it.
 */
#include "demo.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "http.h"
#include "proc.h"
#include "suite.h"
#include "text.h"

#define GREP                                                        \
	"LC_ALL=C grep -aoE"                                        \
	" '[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9.-]+' \"$1\"" \
	" | LC_ALL=C sort -u"

/* Replaces every `from`, which has to be there; frees the text. */
static char *
swap(char *text, const char *from, const char *to)
{
	const char *at, *next;
	size_t size;
	char *result;
	FILE *out = open_memstream(&result, &size);

	ck_assert_msg(strstr(text, from) != NULL, "the demo's config has no %s",
	    from);
	for (at = text; (next = strstr(at, from)) != NULL;
	     at = next + strlen(from))
		fprintf(out, "%.*s%s", (int)(next - at), at, to);
	fputs(at, out);
	fclose(out);
	free(text);
	return result;
}

void
demo_start(struct daemon *daemon, const char *const edits[])
{
	static const char *const always[] = { "\"./run\"",
		"\"$DIR/run\"; start_timeout = 60.0", "\"./state\"",
		"\"$DIR/state\"", "\"hello.so\"", "\"$SO/hello.so\"",
		"\"cruncher.so\"", "\"$SO/cruncher.so\"", "127.0.0.1:8080",
		"127.0.0.1:$PORT", "/var/tmp/cruncher-mails",
		"$DIR/state/mails", NULL };
	char *path = text_format("%s/etc/cruncher.conf", suite_build());
	char *text = text_read(path, NULL);
	size_t i;

	ck_assert_msg(text != NULL, "%s cannot be read", path);
	for (i = 0; always[i] != NULL; i += 2)
		text = swap(text, always[i], always[i + 1]);
	if (getuid() != 0)
		text = swap(text, "user = \"nobody\"", "user = \"\"");
	for (i = 0; edits != NULL && edits[i] != NULL; i += 2)
		text = swap(text, edits[i], edits[i + 1]);
	daemon_start(daemon, &(struct daemon_conf){ .whole = text });
	free(text);
	free(path);
}

char *
demo_send(const struct daemon *daemon, const char *method, const char *path,
    const char *text, int status)
{
	struct reply reply;
	char *body;

	http_require(daemon,
	    &(struct ask){ .method = method,
		.path = path,
		.body = text,
		.header = { text != NULL ? "Content-Type: text/plain" :
					   NULL } },
	    &reply);
	ck_assert_msg(reply.status == status, "%s %s: %d, not %d: %.500s",
	    method, path, reply.status, status, reply.body);
	body = reply.body;
	reply.body = NULL;
	reply_release(&reply);
	return body;
}

void
demo_upload(const struct daemon *daemon, const char *text)
{
	free(demo_send(daemon, "POST", "/upload", text, 202));
}

json_t *
demo_status(const struct daemon *daemon)
{
	struct reply reply;
	json_t *status;

	http_require(daemon, &(struct ask){ .path = "/status" }, &reply);
	ck_assert_msg(reply.status == 200, "GET /status: %d: %.500s",
	    reply.status, reply.body);
	status = reply_json(&reply);
	reply_release(&reply);
	return status;
}

struct wish {
	const struct daemon *daemon;
	const char *count;
	long n, seen;
};

static bool
has_come(void *ctx)
{
	struct wish *wish = ctx;
	json_t *status = demo_status(wish->daemon);

	wish->seen = ctl_int(status, wish->count);
	json_decref(status);
	return wish->seen == wish->n;
}

void
demo_await(const struct daemon *daemon, const char *count, long n)
{
	struct wish wish = { daemon, count, n, -1 };

	ck_assert_msg(proc_until(daemon->pidfd, has_come, &wish),
	    "%s is %ld, not %ld", count, wish.seen, n);
}

size_t
demo_mails(const struct daemon *daemon, const char *user)
{
	char *path = text_format("%s/state/mails", daemon->dir);
	DIR *folder = opendir(path);
	struct dirent *entry;
	size_t n = 0, len = user != NULL ? strlen(user) : 0;

	free(path);
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		if (strstr(entry->d_name, ".eml") != NULL &&
		    (user == NULL ||
			(strncmp(entry->d_name, user, len) == 0 &&
			    entry->d_name[len] == '.')))
			n++;
	closedir(folder);
	return n;
}

char *
demo_shell(const char *script, const char *argument)
{
	struct run run;
	char *out;

	run_program(&run,
	    (const char *const[]){ "sh", "-c", script, "sh", argument, NULL },
	    NULL);
	ck_assert_msg(run.status == 0, "%s: %s", script, run.err);
	out = run.out;
	run.out = NULL;
	run_release(&run);
	return out;
}

char *
demo_grep(const char *path)
{
	return demo_shell(GREP, path);
}
