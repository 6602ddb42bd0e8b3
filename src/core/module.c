/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module - loads shared objects and finds the handlers in them.
 *
 * Called by core/child and by the throw-away child of core/check, after the
 * fork and after privileges were dropped: what a module does while it is loaded
 * (its constructors, its start()) can crash, hang or exit, and costs that one
 * process. Whoever waits for the process reports that; this file reports
 * whatever can be said in words.
 *
 * A module stays suspect until module_check() has seen its ABI number, its
 * names and its handlers; what a registry holds needs no further check. Modules
 * are never unloaded: the process ends.
 */
#include "core/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/conf.h"

#ifndef BROOD_MODULE_DIR
#define BROOD_MODULE_DIR "/usr/local/lib/brood/modules"
#endif

/* A table that is not ended by a NULL name is noticed here rather than by a
 * walk through the rest of the module's memory. */
#define MODULE_MAX_HANDLERS 4096

struct module {
	const char *name;    /* as the config calls it */
	void *shared_object; /* NULL: it failed to load */
	const struct brood_module *is;
	json_t *settings;
	bool started;
};

struct module_registry {
	struct module *v;
	size_t n;
	char **handler_names; /* "MODULE.HANDLER", for suggestions */
	size_t handlers;
};

static enum brood_outcome
module_run_missing(struct brood_call *call)
{
	return brood_retry(call, 0, "the module is not loaded");
}

/* What module_find() gives for a module whose failure was reported already. */
static const struct brood_handler module_missing = { "missing",
	module_run_missing, "a handler of a module that did not load" };

/* Control bytes to blanks: the text goes to a terminal. */
static void
module_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

static bool
module_handler_name_ok(const char *name)
{
	return *name != '\0' &&
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int
module_check_handlers(const char *path, const struct brood_module *is,
    struct why *why)
{
	const struct brood_handler *h;
	size_t i, n;

	if (is->handlers == NULL)
		return why_set(why, "%s has no table of handlers", path);
	for (n = 0; is->handlers[n].name != NULL; n++) {
		h = &is->handlers[n];
		if (n == MODULE_MAX_HANDLERS)
			return why_set(why,
			    "%s has more than %d handlers; the "
			    "table must end with an entry whose name is NULL",
			    path, MODULE_MAX_HANDLERS);
		if (!module_handler_name_ok(h->name))
			return why_set(why,
			    "%s has a handler named \"%.64s\"; "
			    "use a-z, 0-9 and _",
			    path, h->name);
		if (h->run == NULL)
			return why_set(why,
			    "%s has no function for its handler "
			    "\"%.64s\"",
			    path, h->name);
		for (i = 0; i < n; i++)
			if (strcmp(is->handlers[i].name, h->name) == 0)
				return why_set(why,
				    "%s has two handlers named "
				    "\"%.64s\"",
				    path, h->name);
	}
	return 0;
}

/* Nothing behind `abi` is looked at before the number is known to be ours. */
static int
module_check(const char *path, const struct brood_module *is, struct why *why)
{
	if (is->abi != BROOD_MODULE_ABI)
		return why_set(why,
		    "%s was compiled for module ABI %u, this "
		    "broodd has %u; compile it again with the installed "
		    "brood.h",
		    path, is->abi, (unsigned)BROOD_MODULE_ABI);
	if (is->name == NULL || is->name[0] == '\0')
		return why_set(why, "%s has no name in its brood_module", path);
	return module_check_handlers(path, is, why);
}

/* The file of a config entry, which the caller frees. */
static char *
module_file(const char *path)
{
	const char *dir;

	if (strchr(path, '/') != NULL)
		return mem_strdup(path);
	dir = secure_getenv("BROOD_MODULE_DIR");
	if (dir == NULL || dir[0] == '\0')
		dir = BROOD_MODULE_DIR;
	return mem_printf("%s/%s", dir, path);
}

/* dlerror() without the path, which our own sentence starts with. */
static const char *
module_dlerror(const char *file)
{
	const char *text = dlerror();
	size_t len = strlen(file);

	if (text == NULL)
		return "the reason is unknown";
	if (strncmp(text, file, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		return text + len + 2;
	return text;
}

static int
module_open(struct module *module, const char *file, struct why *why)
{
	struct stat st;

	/* dlopen(3) would say all of this, less clearly. */
	if (stat(file, &st) == -1)
		return why_set(why, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, "%s is not a file", file);
	module->shared_object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (module->shared_object == NULL)
		return why_set(why, "%s cannot be loaded: %s", file,
		    module_dlerror(file));
	module->is = dlsym(module->shared_object, "brood_module");
	if (module->is == NULL)
		return why_set(why,
		    "%s is no module: it does not export the "
		    "symbol brood_module",
		    file);
	return module_check(file, module->is, why);
}

static int
module_start(struct module *module, const char *file, struct why *why)
{
	char text[BROOD_WHY_SIZE] = "";

	if (module->is->start == NULL) {
		module->started = true;
		return 0;
	}
	if (module->is->start(module->settings, text) == 0) {
		module->started = true;
		return 0;
	}
	text[sizeof(text) - 1] = '\0';
	module_clean(text);
	if (text[0] == '\0')
		return why_set(why, "%s: start() failed and gave no reason",
		    file);
	return why_set(why, "%s: %s", file, text);
}

/* Two entries for one file would share its variables, and start() would run
 * twice on them. */
static int
module_check_twice(const struct module_registry *registry,
    const struct module *module, const char *file, struct why *why)
{
	const struct module *other;

	for (other = registry->v; other < module; other++)
		if (other->shared_object == module->shared_object)
			return why_set(why,
			    "%s is loaded as module \"%s\" "
			    "already",
			    file, other->name);
	return 0;
}

/* Loads one. On failure it stays in the registry without handlers. */
static int
module_load(struct module_registry *registry, const struct conf_module *entry,
    struct why *why)
{
	struct module *module = &registry->v[registry->n];
	char *file = module_file(entry->path);
	int rc = -1;

	module->name = entry->name;
	module->settings = entry->settings != NULL ?
	    json_incref(entry->settings) :
	    json_object();
	if (module_open(module, file, why) == 0 &&
	    module_check_twice(registry, module, file, why) == 0 &&
	    module_start(module, file, why) == 0)
		rc = 0;
	if (rc == -1)
		module->is = NULL;
	else
		log_debug("module %s: %s", module->name, file);
	registry->n++;
	free(file);
	return rc;
}

static void
module_list_names(struct module_registry *registry)
{
	const struct brood_handler *h;
	size_t i;

	for (i = 0; i < registry->n; i++) {
		if (registry->v[i].is == NULL)
			continue;
		for (h = registry->v[i].is->handlers; h->name != NULL; h++) {
			registry->handler_names =
			    mem_grow(registry->handler_names,
				registry->handlers + 1, sizeof(char *));
			registry->handler_names[registry->handlers++] =
			    mem_printf("%s.%s", registry->v[i].name, h->name);
		}
	}
}

static void
module_registry_free(struct module_registry *registry)
{
	size_t i;

	for (i = 0; i < registry->handlers; i++)
		free(registry->handler_names[i]);
	for (i = 0; i < registry->n; i++)
		json_decref(registry->v[i].settings);
	free(registry->handler_names);
	free(registry->v);
	free(registry);
}

void (*module_on_load)(const struct conf_module *entry);

struct module_registry *
module_load_all(const struct conf *conf, struct conf_errors *errors,
    struct why *why)
{
	struct module_registry *registry = mem_alloc(sizeof(*registry));
	const struct conf_module *entry;
	struct why reason;
	size_t i;

	registry->v = mem_array(conf->module.n + 1, sizeof(*registry->v));
	for (i = 0; i < conf->module.n; i++) {
		entry = &conf->module.v[i];
		if (module_on_load != NULL)
			module_on_load(entry);
		if (module_load(registry, entry, &reason) == 0)
			continue;
		if (errors == NULL) {
			why_set(why, "module \"%s\": %s", entry->name,
			    reason.text);
			module_registry_free(registry);
			return NULL;
		}
		conf_errors_add(errors, "%s:%d: module \"%s\": %s", entry->file,
		    entry->line, entry->name, reason.text);
	}
	module_list_names(registry);
	return registry;
}

void
module_stop_all(struct module_registry *registry)
{
	struct module *module;
	size_t i;

	if (registry == NULL)
		return;
	for (i = registry->n; i-- > 0;) {
		module = &registry->v[i];
		if (module->started && module->is->stop != NULL)
			module->is->stop();
	}
	module_registry_free(registry);
}

const struct brood_handler *
module_find(const struct module_registry *registry, const char *name,
    struct why *why)
{
	const struct brood_handler *h;
	const struct module *module = NULL;
	const char *dot = strchr(name, '.');
	const char *near;
	size_t i;

	for (i = 0; dot != NULL && i < registry->n && module == NULL; i++)
		if (strlen(registry->v[i].name) == (size_t)(dot - name) &&
		    strncmp(registry->v[i].name, name, dot - name) == 0)
			module = &registry->v[i];
	if (module != NULL && module->is == NULL)
		return &module_missing;
	if (module != NULL)
		for (h = module->is->handlers; h->name != NULL; h++)
			if (strcmp(h->name, dot + 1) == 0)
				return h;
	near = conf_nearest(name, (const char *const *)registry->handler_names,
	    registry->handlers);
	if (dot == NULL)
		why_set(why, "\"%s\" is no handler; write MODULE.HANDLER",
		    name);
	else if (near != NULL)
		why_set(why, "there is no handler \"%s\"; did you mean \"%s\"?",
		    name, near);
	else if (module == NULL)
		why_set(why,
		    "there is no handler \"%s\": no module is named "
		    "\"%.*s\"",
		    name, (int)(dot - name), name);
	else
		why_set(why,
		    "there is no handler \"%s\": the module \"%s\" "
		    "has none of that name",
		    name, module->name);
	return NULL;
}
