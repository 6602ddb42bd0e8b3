/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * no_name - a module that does not say what it is called.
 */
#include <brood.h>

static const struct brood_handler handlers[] = { { 0 } };

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.handlers = handlers,
};
