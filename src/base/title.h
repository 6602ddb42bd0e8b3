/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * title - the name of this process in ps(1) and top(1).
 */
#ifndef BASE_TITLE_H
#define BASE_TITLE_H

/*
 * First thing in main(): claims the memory of argv and environ, which Linux
 * shows as the command line, and moves the environment out of the way.
 */
void title_init(int argc, char **argv);

/* Sets both the command line and the comm name; cut to what there is room for.
 * Without title_init() only the comm name. */
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
