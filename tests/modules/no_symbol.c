/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * no_symbol - a good shared object that is no module: nothing in it is called
 * brood_module.
 */
int no_symbol_answer(void);

int
no_symbol_answer(void)
{
	return 42;
}
