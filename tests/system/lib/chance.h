/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chance - choices that a seed repeats; one thread makes them.
 */
#ifndef SYSTEM_CHANCE_H
#define SYSTEM_CHANCE_H

/* Begins anew with the number in that variable of the environment, else with
 * `otherwise`, or where that is 0 with one that nobody knows. Returns it. */
unsigned chance_seed(const char *variable, unsigned otherwise);

/* A number below n. */
unsigned chance(unsigned n);

#endif
