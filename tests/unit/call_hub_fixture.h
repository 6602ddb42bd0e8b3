/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_hub_fixture - calls of handlers (call_fixture.h) in a child whose hub is
 * a script of the test (fake_hub.h).
 */
#ifndef TEST_UNIT_CALL_HUB_FIXTURE_H
#define TEST_UNIT_CALL_HUB_FIXTURE_H

#include "call_fixture.h"
#include "core/conf.h"
#include "core/hub_client.h"
#include "core/uid.h"
#include "fake_hub.h"

static struct conf *hub_conf;

static inline void
set_up_with_hub(void)
{
	set_up();
	fake_hub_set_up();
	hub_conf = conf_defaults();
	uid_init(FAKE_SLOT);
	fake.child.conf = hub_conf;
	fake.child.hub = hub_client_new(NULL,
	    &(struct hub_client_options){
		.path = fake_hub.path,
		.slot = FAKE_SLOT,
		.max_frame = hub_conf->hub.max_message,
	    });
}

static inline void
hang_up(void)
{
	call_result_release(&result);
	hub_client_free(fake.child.hub);
	fake.child.hub = NULL;
}

static inline void
tear_down_with_hub(void)
{
	hang_up();
	fake_hub_tear_down();
	conf_free(hub_conf);
	tear_down();
}

/* Runs the handler with the script as its hub, which is to see the end of the
 * connection and to find nothing wrong. */
static inline void
run_with(brood_handler_fn *fn, void (*script)(void))
{
	fake_hub_fork(script);
	run(fn);
	hang_up();
	fake_hub_join();
}

/* The call's effect at *at, of that kind. */
static inline const union msg *
effect(size_t *at, enum msg_id wanted)
{
	static union msg msg;
	struct why why = { .text = "" };
	enum msg_id id = MSG_NONE;

	ck_assert_int_eq(msg_part((struct msg_bytes){ result.effects.data,
					  result.effects.len },
			     at, UINT64_MAX, &id, &msg, &why),
	    1);
	ck_assert_int_eq(id, wanted);
	return &msg;
}

static inline void
no_more_effects(size_t at)
{
	ck_assert_uint_eq(at, result.effects.len);
}

static inline void
check_text(struct msg_bytes bytes, const char *text)
{
	ck_assert_msg(msg_is(bytes, text), "%.*s, not %s", (int)bytes.len,
	    bytes.p, text);
}

static inline TCase *
add_case_with_hub(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, set_up_with_hub, tear_down_with_hub);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return tests;
}

/* A handler's sentence about what went wrong has this in it. */
static inline void
check_why(struct brood_call *call, const char *text)
{
	ck_assert_msg(strstr(brood_why(call), text) != NULL, "%s",
	    brood_why(call));
}

#endif
