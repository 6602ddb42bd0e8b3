/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrong_abi - a module as an older brood.h would have made it: to be refused
 * with both numbers, and none of its other members looked at (they are not
 * fit to be).
 */
#include <brood.h>

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI + 41,
	.name = (const char *)1,
	.handlers = (const struct brood_handler *)1,
};
