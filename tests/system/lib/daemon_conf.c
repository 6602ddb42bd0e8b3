/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_conf - the config of a broodd, and the modules that it names.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "daemon.h"
#include "suite.h"
#include "text.h"

/* Copies NAME.so from where the build puts it, unless the folder has it. */
static void
bring_module(const struct daemon *daemon, const char *name)
{
	static const char *const folders[] = { "modules", "tests/modules" };
	char *to = text_format("%s/%s", daemon->dir, name);

	if (access(to, F_OK) == -1) {
		char *from = NULL;

		for (size_t i = 0; i < 2; i++) {
			free(from);
			from = text_format("%s/%s/%s", suite_build(),
			    folders[i], name);
			if (access(from, R_OK) == 0)
				break;
		}
		text_copy(from, to);
		free(from);
	}
	free(to);
}

char *
daemon_expand(const struct daemon *daemon, const char *text)
{
	size_t size;
	char *result;
	FILE *out = open_memstream(&result, &size);

	for (const char *p = text; *p != '\0'; p++) {
		if (strncmp(p, "$DIR", 4) == 0) {
			fputs(daemon->dir, out);
			p += 3;
		} else if (strncmp(p, "$PORT", 5) == 0) {
			fprintf(out, "%d", daemon->port);
			p += 4;
		} else if (strncmp(p, "$BROKER", 7) == 0) {
			fputs(daemon->broker != NULL ? daemon->broker :
						       broker_url(),
			    out);
			p += 6;
		} else if (strncmp(p, "$SO/", 4) == 0) {
			size_t len = strcspn(p + 4, "\"");
			char *name = strndup(p + 4, len);

			bring_module(daemon, name);
			fprintf(out, "%s/%s", daemon->dir, name);
			free(name);
			p += 3 + len;
		} else {
			fputc(*p, out);
		}
	}
	fclose(out);
	return result;
}

static const char *
or_default(const char *given, const char *otherwise)
{
	return given != NULL ? given : otherwise;
}

static void
write_modules(FILE *out, const struct daemon_conf *conf)
{
	const char *comma = "";

	fputs("modules = (", out);
	for (size_t i = 0; conf->module[i] != NULL; i++) {
		fprintf(out, "%s\n  { name = \"%s\"; path = \"$SO/%s.so\"; }",
		    comma, conf->module[i], conf->module[i]);
		comma = ",";
	}
	if (conf->modules != NULL)
		fprintf(out, "%s\n  %s", comma, conf->modules);
	fputs(" );\n", out);
}

static void
write_routes(FILE *out, const struct daemon_conf *conf)
{
	const char *comma = "";

	fputs("  routes = (", out);
	for (size_t i = 0; conf->route[i].path != NULL; i++) {
		const struct daemon_route *route = &conf->route[i];

		fprintf(out,
		    "%s\n    { method = \"%s\"; path = \"%s\";"
		    " handler = \"%s\"; %s }",
		    comma, route->method, route->path, route->handler,
		    or_default(route->more, ""));
		comma = ",";
	}
	if (conf->routes != NULL)
		fprintf(out, "%s\n    %s", comma, conf->routes);
	fputs(" );\n", out);
}

static void
write_conf(FILE *out, const struct daemon_conf *conf)
{
	fprintf(out,
	    "service = { name = \"test\"; user = \"%s\";\n"
	    "  run_dir = \"$DIR/run\"; state_dir = \"$DIR/state\";\n  %s };\n",
	    or_default(conf->user, getuid() == 0 ? "nobody" : ""),
	    or_default(conf->service, "start_timeout = 60.0;"));
	fprintf(out, "log = { %s };\ncontrol = { %s };\n",
	    or_default(conf->log, "level = \"debug\";"),
	    or_default(conf->control, ""));
	write_modules(out, conf);
	fprintf(out, "rest = { listen = [ %s ];\n  %s\n  workers = { %s };\n",
	    or_default(conf->listen, "\"127.0.0.1:$PORT\""),
	    or_default(conf->rest, ""),
	    or_default(conf->workers,
		"start = 2; min_spare = 1; max_spare = 4; max = 8;"));
	write_routes(out, conf);
	fprintf(out, "};\nhub = { %s };\n", or_default(conf->hub, ""));
	fprintf(out, "tasks = { %s\n  workers = { %s };\n};\n",
	    or_default(conf->tasks, ""),
	    or_default(conf->task_workers,
		"start = 1; min_spare = 0; max_spare = 4; max = 4;"));
	fprintf(out, "amqp = { %s };\n", or_default(conf->amqp, ""));
}

void
daemon_configure(struct daemon *daemon, const struct daemon_conf *given)
{
	struct daemon_conf conf = *given;
	char *text = NULL, *expanded;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (conf.module[0] == NULL && conf.modules == NULL)
		conf.module[0] = "hello";
	if (conf.route[0].path == NULL && conf.routes == NULL)
		conf.route[0] = (struct daemon_route){ "GET", "/hello",
			"hello.hello", NULL };
	write_conf(out, &conf);
	fclose(out);
	expanded = daemon_expand(daemon, or_default(conf.whole, text));
	text_write(daemon->conf, expanded);
	free(expanded);
	free(text);
}
