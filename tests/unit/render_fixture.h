/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render_fixture - what a function of ctl/render.h writes of some JSON.
 */
#ifndef TEST_UNIT_RENDER_FIXTURE_H
#define TEST_UNIT_RENDER_FIXTURE_H

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef void render_fn(const json_t *, FILE *);

/* What `render` writes of this JSON, to free. */
static inline char *
rendered(render_fn *render, const char *json)
{
	json_error_t error;
	json_t *data = json_loads(json, JSON_DECODE_ANY, &error);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_msg(data != NULL, "%s: %s", json, error.text);
	ck_assert_ptr_nonnull(out);
	render(data, out);
	ck_assert_int_eq(fclose(out), 0);
	json_decref(data);
	return text;
}

static inline void
expect(render_fn *render, const char *json, const char *wanted)
{
	char *text = rendered(render, json);

	ck_assert_str_eq(text, wanted);
	free(text);
}

#endif
