/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_find - the items of a config by name. Apart from the rest of conf so
 * that a program can have it without libconfig. Pure.
 */
#include "core/conf.h"
#include "core/msg.h"

size_t
conf_find_exchange(const struct conf *conf, struct msg_bytes name)
{
	size_t i = 0;

	while (i < conf->exchange.n && !msg_is(name, conf->exchange.v[i].name))
		i++;
	return i;
}

size_t
conf_find_queue(const struct conf *conf, struct msg_bytes name)
{
	size_t i = 0;

	while (i < conf->queue.n && !msg_is(name, conf->queue.v[i].name))
		i++;
	return i;
}
