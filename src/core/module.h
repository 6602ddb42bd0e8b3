/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module - shared objects and the handlers in them.
 *
 * Loaded in a child only, never in the master. A module is suspect until it
 * has been checked: ABI number, names, handler table.
 */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include "brood.h"

struct conf;
struct conf_errors;
struct conf_module;
struct why;

struct module_registry;

/*
 * Loads every module of the config and runs its start(). NULL with the first
 * reason when one fails. With `errors` given (a check) every failure is added
 * to it, the rest is still tried, and the result is never NULL: see `errors`.
 * Borrows from `conf`.
 */
struct module_registry *module_load_all(const struct conf *conf,
    struct conf_errors *errors, struct why *why);

/*
 * NULL, or what module_load_all() calls before it loads each module, so that
 * one which takes the process down can be named afterwards (see check.c).
 */
extern void (*module_on_load)(const struct conf_module *entry);

/* stop() of each, in reverse order, and frees the registry (NULL is fine).
 * Nothing is unloaded: the process ends. */
void module_stop_all(struct module_registry *registry);

/*
 * "MODULE.HANDLER"; NULL with a reason that names the nearest one. In a check,
 * any handler of a module that failed to load is found, so that one error is
 * not followed by one for each route.
 */
const struct brood_handler *module_find(const struct module_registry *registry,
    const char *name, struct why *why);

#endif
