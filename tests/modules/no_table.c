/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * no_table - a module without a table of handlers, which is not the same as
 * one with an empty table.
 */
#include <brood.h>

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "no_table",
};
