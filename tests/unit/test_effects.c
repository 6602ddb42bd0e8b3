/* SPDX-License-Identifier: BSD-2-Clause */
/* What a call sends: all of it or nothing, in memory and in the store. */
#include "work_fixture.h"

static struct buf parts;

static void
begin(void)
{
	buf_init(&parts, 1 << 20);
	connect_client(0, false);
}

/* The code of a COMMIT of the parts, which are then empty. */
static enum hub_code
committed(void)
{
	const struct letter *letter;

	commit(0, uid_make(), &parts);
	turn();
	buf_release(&parts);
	buf_init(&parts, 1 << 20);
	letter = received(0);
	ck_assert_ptr_nonnull(letter);
	return letter->id == MSG_FAIL ? (enum hub_code)letter->msg.FAIL.code :
					HUB_OK;
}

static void
add_set(const char *key, const char *value, enum data_only only,
    uint64_t version)
{
	struct msg_SET set = {
		.key = msg_text(key),
		.kind = DATA_BYTES,
		.only = only,
		.version = version,
		.ttl_ms = -1,
		.value = msg_text(value),
	};

	add_part(&parts, MSG_SET, &set);
}

static void
add_delete(const char *key)
{
	struct msg_DELETE del = { .key = msg_text(key), .only = DATA_ANY };

	add_part(&parts, MSG_DELETE, &del);
}

static void
add_bind(const char *queue, const char *exchange, const char *key, bool on)
{
	struct msg_BIND bind = {
		.on = on,
		.queue = msg_text(queue),
		.exchange = msg_text(exchange),
		.key = msg_text(key),
	};

	add_part(&parts, MSG_BIND, &bind);
}

static void
want_value(const char *key, const char *text)
{
	const struct data_value *value = data_find(fx.hub.data, msg_text(key),
	    fx.hub.wall_ms);

	if (text == NULL) {
		ck_assert_ptr_null(value);
		return;
	}
	ck_assert_ptr_nonnull(value);
	ck_assert_uint_eq(value->len, strlen(text));
	ck_assert_mem_eq(value->bytes, text, value->len);
}

START_TEST(all_kinds)
{
	begin();
	add_set("k", "v", DATA_ANY, 0);
	add_incr(&parts, "n", 3);
	add_incr(&parts, "n", 4);
	add_delete("absent");
	add_submit(&parts, "m.h", "x");
	ck_assert_int_eq(committed(), HUB_OK);
	for (int i = 0; i < 2; i++) {
		want_value("k", "v");
		want_number("n", 7);
		want_counts(0, 1, 0);
		killed();
	}
	begin();
	add_delete("k");
	ck_assert_int_eq(committed(), HUB_OK);
	want_value("k", NULL);
	killed();
	want_value("k", NULL);
}
END_TEST

/* What is refused, whichever it is, leaves nothing behind. */
static void
refused(enum hub_code code)
{
	ck_assert_str_eq(hub_code_name(committed()), hub_code_name(code));
	for (int i = 0; i < 2; i++) {
		want_value("new", NULL);
		want_value("old", "before");
		want_number("n", 5);
		want_counts(0, 0, 0);
		killed();
	}
	connect_client(0, false);
}

/* Changes of each kind, then the part that cannot be. */
static void
begin_changes(void)
{
	add_set("new", "x", DATA_ANY, 0);
	add_set("old", "after", DATA_ANY, 0);
	add_incr(&parts, "n", 1);
	add_submit(&parts, "m.h", "x");
	add_delete("old");
}

START_TEST(all_or_nothing)
{
	struct msg_EXPECT expect = { .key = msg_text("old"), .version = 77 };
	struct msg_SUBMIT bad = {
		.uid = uid_make(),
		.handler = msg_text("no handler"),
		.expires_ms = -1,
	};

	begin();
	add_set("old", "before", DATA_ANY, 0);
	add_incr(&parts, "n", 5);
	ck_assert_int_eq(committed(), HUB_OK);

	begin_changes();
	add_incr(&parts, "new", 1);
	refused(HUB_NOT_NUMBER);
	begin_changes();
	add_set("n", "x", DATA_IF_ABSENT, 0);
	refused(HUB_CONFLICT);
	begin_changes();
	add_set("new", "y", DATA_IF_VERSION, 12345);
	refused(HUB_CONFLICT);
	begin_changes();
	add_part(&parts, MSG_EXPECT, &expect);
	refused(HUB_CONFLICT);
	begin_changes();
	add_publish(&parts, "nowhere", "", "x");
	refused(HUB_NOT_FOUND);
	begin_changes();
	add_part(&parts, MSG_SUBMIT, &bad);
	refused(HUB_BAD);
	begin_changes();
	add_bind("no queue", "", "", true);
	refused(HUB_NOT_FOUND);
	begin_changes();
	buf_append(&parts, "garbage that is no part", 23);
	refused(HUB_BAD);
	begin_changes();
	fx.conf->tasks.max_effects = 4;
	refused(HUB_TOO_LARGE);
	fx.conf->tasks.max_effects = 100;
	begin_changes();
	add_incr(&parts, "n", INT64_MAX);
	refused(HUB_NOT_NUMBER);
}
END_TEST

START_TEST(mandatory)
{
	struct msg_PUBLISH publish = {
		.uid = uid_make(),
		.key = msg_text("nobody"),
		.mandatory = 1,
		.ttl_ms = -1,
	};

	begin();
	add_part(&parts, MSG_PUBLISH, &publish);
	ck_assert_int_eq(committed(), HUB_UNROUTABLE);
	publish.mandatory = 0;
	add_part(&parts, MSG_PUBLISH, &publish);
	ck_assert_int_eq(committed(), HUB_OK);
}
END_TEST

START_TEST(bindings)
{
	char key[300] = "";

	reconfigure();
	fx.conf->exchange.v = calloc(1, sizeof(*fx.conf->exchange.v));
	fx.conf->exchange.n = 1;
	fx.conf->exchange.v[0].name = mem_strdup("users");
	queue_conf(0, "q", "");
	reconfigured();
	begin();
	/* a later part sees it; one that fails takes it back */
	add_bind("q", "users", "ann", true);
	add_publish(&parts, "users", "ann", "hello");
	add_publish(&parts, "nowhere", "", "");
	ck_assert_int_eq(committed(), HUB_NOT_FOUND);
	add_publish(&parts, "users", "ann", "lost");
	ck_assert_int_eq(committed(), HUB_OK);
	want_counts(0, 0, 0);
	add_bind("q", "users", "ann", true);
	add_publish(&parts, "users", "ann", "hello");
	ck_assert_int_eq(committed(), HUB_OK);
	want_counts(0, 1, 0);
	add_bind("q", "users", "ann", false);
	add_publish(&parts, "users", "ann", "lost");
	ck_assert_int_eq(committed(), HUB_OK);
	want_counts(0, 1, 0);
	/* nor are there too many */
	fx.conf->amqp.max_bindings = 2;
	add_bind("q", "users", "bob", true);
	add_bind("q", "users", "cid", true);
	add_bind("q", "users", "dan", true);
	ck_assert_int_eq(committed(), HUB_FULL);
	add_bind("q", "users", "bob", true);
	add_bind("q", "users", "cid", true);
	add_bind("q", "users", "cid", true);
	ck_assert_int_eq(committed(), HUB_OK);
	add_bind("q", "users", "dan", true);
	ck_assert_int_eq(committed(), HUB_FULL);
	memset(key, 'k', sizeof(key) - 1);
	add_bind("q", "users", key, true);
	ck_assert_int_eq(committed(), HUB_TOO_LARGE);
	buf_release(&parts);
}
END_TEST

START_TEST(too_large)
{
	char *large = mem_alloc(70000);

	begin();
	fx.conf->hub.max_message = 65536;
	memset(large, 'x', 69999);
	add_submit(&parts, "m.h", large);
	ck_assert_int_eq(committed(), HUB_TOO_LARGE);
	free(large);
}
END_TEST

/* New work is refused, what was accepted goes on. */
START_TEST(the_disk_is_full)
{
	uint64_t uid;

	begin();
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	fx.conf->hub.min_free = SIZE_MAX / 4;
	reconfigured();
	connect_client(0, false);
	connect_client(1, true);
	add_submit(&parts, "m.h", "x");
	ck_assert_int_eq(committed(), HUB_NO_SPACE);
	add_incr(&parts, "n", 1);
	add_submit(&parts, "m.h", "x");
	done(1, uid, 1, &parts);
	turn();
	want(1, MSG_OK);
	want_number("n", 1);
	want_state(uid, "succeeded", 1);
	ck_assert_uint_ne(want_run(1, 1), uid);
	fx.conf->hub.min_free = 0;
	reconfigured();
	connect_client(0, false);
	add_submit(&parts, "m.h", "x");
	ck_assert_int_eq(committed(), HUB_OK);
}
END_TEST

/* A number that the redo file has and one that a transaction has: whoever is
 * killed when, each counts once. */
START_TEST(with_plain_changes_between)
{
	struct msg_INCR incr = { .key = msg_text("n"), .by = 1, .ttl_ms = -1 };
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	for (int i = 0; i < 20; i++) {
		uid = submit_job(0);
		want_run(1, 1);
		buf_init(&parts, 1 << 20);
		add_incr(&parts, "n", 1000);
		incr.seq = (uint64_t)i + 1;
		if (i % 4 < 2)
			hub_on_INCR(&fx.hub, &fx.client[0].peer, 1, &incr);
		done(1, uid, 1, &parts);
		if (i % 4 >= 2)
			hub_on_INCR(&fx.hub, &fx.client[0].peer, 1, &incr);
		if (i % 2 == 0)
			turn();
		killed();
		/* what was not answered is asked again */
		connect_client(0, false);
		connect_client(1, true);
		if (i % 2 != 0) {
			done(1, uid, 1, &parts);
			hub_on_INCR(&fx.hub, &fx.client[0].peer, 1, &incr);
		}
		turn();
		want_number("n", (i + 1) * 1001);
		buf_release(&parts);
		fx.client[0].read = fx.client[0].ins;
		fx.client[1].read = fx.client[1].ins;
	}
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, all_kinds);
	tcase_add_test(tests, all_or_nothing);
	tcase_add_test(tests, mandatory);
	tcase_add_test(tests, bindings);
	tcase_add_test(tests, too_large);
	tcase_add_test(tests, the_disk_is_full);
	tcase_add_test(tests, with_plain_changes_between);
}

int
main(void)
{
	return run_work_suite("effects", add);
}
