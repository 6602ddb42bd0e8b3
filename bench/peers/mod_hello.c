/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mod_hello - an Apache module that does what brood's hello handler does.
 *
 * A content handler with the answer as a constant: the least an Apache worker
 * can do for a request that reaches a module. Built with apxs, loaded by the
 * config that benchlib/servers.py writes (SetHandler hello).
 */
#include <string.h>

/* the others need it before them */
#include <httpd.h>

#include <http_config.h>
#include <http_protocol.h>

extern module AP_MODULE_DECLARE_DATA hello_module;

static int
hello_handler(request_rec *r)
{
	static const char body[] = "{\"message\":\"hello, world!\"}";

	if (r->handler == NULL || strcmp(r->handler, "hello") != 0)
		return DECLINED;
	ap_set_content_type(r, "application/json");
	ap_set_content_length(r, sizeof(body) - 1);
	ap_rwrite(body, sizeof(body) - 1, r);
	return OK;
}

static void
hello_hooks(apr_pool_t *pool)
{
	(void)pool;
	ap_hook_handler(hello_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA hello_module = {
	STANDARD20_MODULE_STUFF,
	.register_hooks = hello_hooks,
};
