/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_keys - requests about shared data, and what is left of them when the hub
 * was killed: a real hub in a process of its own.
 */
#include "hub_fixture.h"
#include "run_suite.h"

/* To start a hub takes seconds in valgrind. */
static int
rounds(int n)
{
	return getenv("BROOD_WRAP") != NULL ? n / 5 : n;
}

START_TEST(a_value_comes_and_goes)
{
	struct client c;

	hub_start();
	client_open(&c, 1);
	ck_assert_ptr_null(client_get(&c, "k"));
	ck_assert(client_set(&c, 1, "k", "v", -1));
	ck_assert_str_eq(client_get(&c, "k"), "v");
	ck_assert_int_eq(c.msg.VALUE.ttl_ms, -1);
	ck_assert(client_set(&c, 2, "k", "w", 3600000));
	ck_assert_str_eq(client_get(&c, "k"), "w");
	ck_assert_int_gt(c.msg.VALUE.ttl_ms, 0);
	ck_assert_int_le(c.msg.VALUE.ttl_ms, 3600000);
	ck_assert(client_delete(&c, 3, "k"));
	ck_assert(!client_delete(&c, 4, "k"));
	ck_assert_ptr_null(client_get(&c, "k"));
	ck_assert_int_eq(client_incr(&c, 5, "n", 7), 7);
	ck_assert_int_eq(client_incr(&c, 6, "n", -9), -2);
	ck_assert_str_eq(client_get(&c, "n"), "-2");
	ck_assert_uint_eq(c.msg.VALUE.kind, DATA_NUMBER);
	client_close(&c);
}
END_TEST

START_TEST(what_is_wrong_is_refused_and_nothing_else_happens)
{
	struct msg_INCR incr = { .key = msg_text("t"), .by = 1, .ttl_ms = -1 };
	struct msg_SET set = { .key = msg_text(""), .ttl_ms = -1 };
	struct client c;

	hub_start();
	client_open(&c, 1);
	client_set(&c, 1, "t", "text", -1);
	client_ask(&c, MSG_INCR, &incr);
	ck_assert_uint_eq(client_code(&c), HUB_NOT_NUMBER);
	client_ask(&c, MSG_SET, &set);
	ck_assert_uint_eq(client_code(&c), HUB_BAD);
	set.key = msg_text("k");
	set.value.len = (1 << 17) + 1;
	set.value.p = mem_alloc(set.value.len);
	client_ask(&c, MSG_SET, &set);
	ck_assert_uint_eq(client_code(&c), HUB_TOO_LARGE);
	free((char *)set.value.p);
	ck_assert_str_eq(client_get(&c, "t"), "text");
	client_close(&c);
}
END_TEST

START_TEST(what_is_repeated_is_done_once)
{
	struct client c;

	hub_start();
	client_open(&c, 1);
	ck_assert_int_eq(client_incr(&c, 1, "n", 5), 5);
	ck_assert_int_eq(client_incr(&c, 1, "n", 5), 5);
	ck_assert(client_delete(&c, 2, "n"));
	ck_assert(client_delete(&c, 2, "n"));
	ck_assert_int_eq(client_incr(&c, 1, "n", 5), 5);
	ck_assert_ptr_null(client_get(&c, "n"));
	client_close(&c);
	/* the same process, another connection */
	client_open(&c, 1);
	ck_assert(client_delete(&c, 2, "n"));
	client_close(&c);
	/* another process */
	client_open(&c, 2);
	ck_assert(!client_delete(&c, 2, "n"));
	client_close(&c);
}
END_TEST

/* None of their answers came: all are repeated, in their order. */
START_TEST(what_did_nothing_does_nothing_when_it_is_repeated)
{
	struct msg_SET absent = { .seq = 4,
		.key = msg_text("a"),
		.only = DATA_IF_ABSENT,
		.ttl_ms = -1 };
	struct client c;

	hub_start();
	for (int round = 0; round < 2; round++) {
		client_open(&c, 1);
		ck_assert(!client_delete(&c, 1, "k"));
		client_set(&c, 2, "k", "v", -1);
		client_set(&c, 3, "a", "1", -1);
		client_ask(&c, MSG_SET, &absent);
		ck_assert_uint_eq(c.msg.STORED.done, 0);
		client_delete(&c, 5, "a");
		hub_kill();
		client_close(&c);
		hub_start();
	}
	client_open(&c, 2);
	ck_assert_str_eq(client_get(&c, "k"), "v");
	ck_assert_ptr_null(client_get(&c, "a"));
	client_close(&c);
}
END_TEST

START_TEST(what_cannot_be_told_is_not_done)
{
	struct msg_INCR incr = { .seq = 1,
		.key = msg_text("n"),
		.by = 1,
		.ttl_ms = -1 };
	struct client c;

	hub_start();
	client_open(&c, 1);
	for (uint64_t seq = 1; seq <= 300; seq++)
		client_incr(&c, seq, "n", 1);
	client_ask(&c, MSG_INCR, &incr);
	ck_assert_uint_eq(client_code(&c), HUB_STALE);
	ck_assert_str_eq(client_get(&c, "n"), "300");
	client_close(&c);
}
END_TEST

START_TEST(it_survives_kill)
{
	struct client c;
	char key[32], value[32];
	uint64_t seq = 0;

	for (int round = 0; round < 8; round++) {
		hub_start();
		client_open(&c, 1);
		for (int i = 0; i < round; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			snprintf(value, sizeof(value), "%d", i * i);
			if (i == 3)
				ck_assert_ptr_null(client_get(&c, key));
			else
				ck_assert_str_eq(client_get(&c, key), value);
		}
		seq++;
		ck_assert_int_eq(client_incr(&c, seq, "n", 2), 2 * round + 2);
		/* the answer that it may not have got */
		hub_kill();
		client_close(&c);
		hub_start();
		client_open(&c, 1);
		ck_assert_int_eq(client_incr(&c, seq, "n", 2), 2 * round + 2);
		snprintf(key, sizeof(key), "k%d", round);
		snprintf(value, sizeof(value), "%d", round * round);
		client_set(&c, ++seq, key, value, -1);
		if (round == 3)
			client_delete(&c, ++seq, key);
		hub_kill();
		client_close(&c);
	}
}
END_TEST

START_TEST(versions_and_ends_survive)
{
	struct msg_SET set = { .key = msg_text("k"),
		.only = DATA_IF_VERSION,
		.ttl_ms = -1 };
	uint64_t version;
	struct client c;

	hub_start();
	client_open(&c, 1);
	client_set(&c, 1, "k", "v", 3600000);
	client_set(&c, 2, "short", "v", 1);
	version = (client_get(&c, "k"), c.msg.VALUE.version);
	hub_kill();
	client_close(&c);
	hub_start();
	client_open(&c, 2);
	ck_assert_str_eq(client_get(&c, "k"), "v");
	ck_assert_uint_eq(c.msg.VALUE.version, version);
	ck_assert_int_gt(c.msg.VALUE.ttl_ms, 0);
	ck_assert_int_le(c.msg.VALUE.ttl_ms, 3600000);
	while (client_get(&c, "short") != NULL)
		; /* its millisecond may not be over */
	client_delete(&c, 1, "k");
	hub_stop();
	client_close(&c);
	/* a version is never used again */
	hub_start();
	client_open(&c, 3);
	ck_assert_ptr_null(client_get(&c, "k"));
	client_set(&c, 1, "k", "again", -1);
	ck_assert_uint_gt(c.msg.STORED.version, version);
	set.version = version;
	client_ask(&c, MSG_SET, &set);
	ck_assert_uint_eq(c.msg.STORED.done, 0);
	client_close(&c);
}
END_TEST

START_TEST(durabilities)
{
	struct conf_data *rules = mem_array(2, sizeof(*rules));
	char path[128];
	struct client c;

	rules[0].prefix = mem_strdup("none:");
	rules[0].durability = CONF_DURABLE_NONE;
	rules[1].prefix = mem_strdup("full:");
	rules[1].durability = CONF_DURABLE_FULL;
	hub_conf->data.v = rules;
	hub_conf->data.n = 2;
	hub_start();
	client_open(&c, 1);
	client_set(&c, 1, "none:k", "v", -1);
	client_set(&c, 2, "full:k", "v", -1);
	client_set(&c, 3, "k", "v", -1);
	hub_kill();
	client_close(&c);
	hub_start();
	client_open(&c, 1);
	ck_assert_ptr_null(client_get(&c, "none:k"));
	ck_assert_str_eq(client_get(&c, "full:k"), "v");
	ck_assert_str_eq(client_get(&c, "k"), "v");
	client_close(&c);
	hub_kill();
	/* without the redo file what is fully durable is there */
	snprintf(path, sizeof(path), "%s/hub.db-redo", hub_dir);
	ck_assert_int_eq(unlink(path), 0);
	hub_start();
	client_open(&c, 1);
	ck_assert_str_eq(client_get(&c, "full:k"), "v");
	client_set(&c, 9, "k", "w", -1);
	client_close(&c);
	hub_kill();
	hub_start();
	client_open(&c, 1);
	ck_assert_str_eq(client_get(&c, "k"), "w");
	client_close(&c);
}
END_TEST

START_TEST(the_redo_file_changes_its_size)
{
	struct client c;

	for (size_t size = 1 << 20; size <= 4 << 20; size *= 2) {
		hub_conf->hub.redo_size = size;
		hub_start();
		client_open(&c, 1);
		client_incr(&c, size, "n", 1);
		client_close(&c);
		hub_kill();
	}
	hub_start();
	client_open(&c, 1);
	ck_assert_str_eq(client_get(&c, "n"), "3");
	client_close(&c);
}
END_TEST

/* Many more changes than the redo file holds, pipelined, and large values. */
START_TEST(the_ring_goes_round)
{
	static char value[60000];
	struct msg_SET set = { .ttl_ms = -1,
		.value = { value, sizeof(value) } };
	struct client c;
	char key[32];

	hub_start();
	client_open(&c, 1);
	for (int i = 0; i < 200; i++) {
		value[0] = (char)i;
		snprintf(key, sizeof(key), "k%d", i % 10);
		set.key = msg_text(key);
		client_queue(&c, MSG_SET, &set);
		client_flush(&c);
	}
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(client_next(&c), MSG_STORED);
		ck_assert_uint_eq(c.msg.STORED.done, 1);
	}
	client_close(&c);
	hub_kill();
	hub_start();
	client_open(&c, 1);
	for (int i = 190; i < 200; i++) {
		struct msg_GET get = { .key = msg_text(key) };

		snprintf(key, sizeof(key), "k%d", i % 10);
		get.key = msg_text(key);
		ck_assert_int_eq(client_ask(&c, MSG_GET, &get), MSG_VALUE);
		ck_assert_uint_eq(c.msg.VALUE.value.len, sizeof(value));
		ck_assert_int_eq(c.msg.VALUE.value.p[0], (char)i);
	}
	client_close(&c);
}
END_TEST

/* Killed in the middle of pipelined increments, again and again; the client
 * repeats what was not answered. */
START_TEST(no_increment_is_lost_or_done_twice)
{
	struct msg_INCR incr = { .key = msg_text("n"), .by = 1, .ttl_ms = -1 };
	uint64_t answered = 0, sent = 0;
	struct client c;

	for (int round = 0; round < rounds(30); round++) {
		hub_start();
		client_open(&c, 1);
		for (uint64_t seq = answered + 1; seq <= sent; seq++) {
			incr.seq = seq;
			client_queue(&c, MSG_INCR, &incr);
		}
		for (; sent < answered + 200; sent++) {
			incr.seq = sent + 1;
			client_queue(&c, MSG_INCR, &incr);
		}
		client_flush(&c);
		for (int i = 0; i < round * 6; i++) {
			ck_assert_int_eq(client_next(&c), MSG_NUMBER);
			ck_assert_int_eq(c.msg.NUMBER.value,
			    (int64_t)++answered);
		}
		hub_kill();
		while (client_next(&c) == MSG_NUMBER)
			ck_assert_int_eq(c.msg.NUMBER.value,
			    (int64_t)++answered);
		client_close(&c);
	}
	hub_start();
	client_open(&c, 1);
	for (uint64_t seq = answered + 1; seq <= sent; seq++)
		ck_assert_int_eq(client_incr(&c, seq, "n", 1), (int64_t)seq);
	client_close(&c);
}
END_TEST

/* --- all kinds of changes and kills, beside a model */

#define MODEL_KEYS 30

struct model {
	bool there[MODEL_KEYS];
	int64_t number[MODEL_KEYS];
};

static uint32_t
draw(void)
{
	static uint32_t random = 7;

	random = random * 1664525 + 1013904223;
	return random >> 8;
}

/* One change of one key, as a request or as a part of what a call sends. */
struct step {
	enum msg_id id;
	unsigned key;
	char name[16], text[16];
	union msg msg;
};

static void
make_step(struct step *step, uint64_t seq)
{
	unsigned op = draw() % 4;

	step->key = draw() % MODEL_KEYS;
	snprintf(step->name, sizeof(step->name), "%s%u",
	    step->key % 5 == 0 ? "full:" : "k", step->key);
	snprintf(step->text, sizeof(step->text), "%u", draw() % 1000);
	memset(&step->msg, 0, sizeof(step->msg));
	if (op == 0) {
		step->id = MSG_DELETE;
		step->msg.DELETE.key = msg_text(step->name);
		step->msg.DELETE.seq = seq;
	} else if (op == 1) {
		step->id = MSG_SET;
		step->msg.SET = (struct msg_SET){ .key = msg_text(step->name),
			.kind = DATA_NUMBER,
			.value = msg_text(step->text),
			.ttl_ms = -1,
			.seq = seq };
	} else {
		step->id = MSG_INCR;
		step->msg.INCR = (struct msg_INCR){ .key = msg_text(step->name),
			.by = op,
			.ttl_ms = -1,
			.seq = seq };
	}
}

static void
apply_step(struct model *model, const struct step *step)
{
	unsigned k = step->key;

	if (step->id == MSG_DELETE)
		model->there[k] = false;
	else if (step->id == MSG_SET)
		model->number[k] = atoi(step->text);
	else
		model->number[k] = (model->there[k] ? model->number[k] : 0) +
		    step->msg.INCR.by;
	if (step->id != MSG_DELETE)
		model->there[k] = true;
}

static void
require_model(struct client *client, const struct model *model)
{
	char name[16], text[32];

	for (unsigned k = 0; k < MODEL_KEYS; k++) {
		const char *value;

		snprintf(name, sizeof(name), "%s%u", k % 5 == 0 ? "full:" : "k",
		    k);
		snprintf(text, sizeof(text), "%lld",
		    (long long)model->number[k]);
		value = client_get(client, name);
		ck_assert_msg(strcmp(value != NULL ? value : "(none)",
				  model->there[k] ? text : "(none)") == 0,
		    "%s is %s, and not %s", name, value,
		    model->there[k] ? text : "(none)");
	}
}

/* A request that is one step, or a commit of up to four. */
static void
queue_round(struct client *client, struct model *model, struct buf *frame,
    uint64_t seq)
{
	struct buf parts;
	struct step step;

	buf_init(&parts, 65536);
	if (draw() % 3 > 0) {
		make_step(&step, seq);
		apply_step(model, &step);
		ck_assert_int_eq(msg_encode(frame, step.id, ++client->request,
				     &step.msg),
		    0);
		return;
	}
	for (unsigned n = draw() % 4 + 1; n > 0; n--) {
		make_step(&step, 0);
		apply_step(model, &step);
		msg_encode(&parts, step.id, 0, &step.msg);
	}
	msg_encode(frame, MSG_COMMIT, ++client->request,
	    &(struct msg_COMMIT){ .uid = uid_make(),
		.effects = { parts.data, parts.len } });
	buf_release(&parts);
}

START_TEST(all_kinds_of_changes_and_kills_beside_a_model)
{
	static struct model model;
	struct conf_data *rule = mem_array(1, sizeof(*rule));
	struct buf frames; /* what has not been answered */
	size_t ends[64], n, answered;
	uint64_t seq = 0;
	struct client c;

	rule->prefix = mem_strdup("full:");
	rule->durability = CONF_DURABLE_FULL;
	hub_conf->data.v = rule;
	hub_conf->data.n = 1;
	hub_conf->tasks.durability = CONF_DURABLE_PROCESS;
	uid_init(HUB_CLIENT_SLOT);
	buf_init(&frames, 1 << 20);
	for (int round = 0; round < rounds(120); round++) {
		if (round % 3 == 0)
			hub_start();
		client_open(&c, 1);
		n = answered = 0;
		for (unsigned most = draw() % 60 + 1; n < most; n++) {
			queue_round(&c, &model, &frames, ++seq);
			ends[n] = frames.len;
		}
		while (answered < n) {
			size_t from = answered > 0 ? ends[answered - 1] : 0;
			size_t wait = answered + draw() % (n - answered + 1);
			bool kill = round % 3 == 2 || draw() % 4 == 0;

			/* all that is unanswered, at once */
			ck_assert_int_eq(buf_append(&c.wire.out,
					     frames.data + from,
					     frames.len - from),
			    0);
			client_flush(&c);
			while (answered < (kill ? wait : n)) {
				ck_assert_int_ne(client_next(&c), MSG_NONE);
				ck_assert_uint_eq(client_code(&c), HUB_OK);
				answered++;
			}
			if (!kill)
				break;
			hub_kill();
			while (client_next(&c) != MSG_NONE)
				answered++;
			client_close(&c);
			hub_start();
			client_open(&c, 1);
		}
		require_model(&c, &model);
		buf_clear(&frames);
		if (round % 3 == 2)
			hub_kill();
		client_close(&c);
	}
	buf_release(&frames);
	hub_start();
}
END_TEST

START_TEST(keys_are_listed_in_pieces)
{
	struct msg_LIST list = { .prefix = msg_text("k"), .limit = 7 };
	char key[32], last[32] = "";
	struct client c;
	union msg item;
	enum msg_id id;
	int n = 0, rounds = 0;
	size_t at;

	hub_start();
	client_open(&c, 1);
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "k%02d", i);
		client_set(&c, (uint64_t)i + 1, key, key, -1);
	}
	client_set(&c, 100, "other", "x", -1);
	do {
		list.after = msg_text(last);
		list.values = rounds % 2;
		ck_assert_int_eq(client_ask(&c, MSG_LIST, &list), MSG_ITEMS);
		at = 0;
		while (msg_part(c.msg.ITEMS.items, &at, MSG_ID_BIT(ITEM), &id,
			   &item, NULL) == 1) {
			snprintf(last, sizeof(last), "k%02d", n++);
			ck_assert(msg_is(item.ITEM.key, last));
			ck_assert_uint_eq(item.ITEM.value.len,
			    rounds % 2 ? 3 : 0);
		}
		rounds++;
	} while (c.msg.ITEMS.more);
	ck_assert_int_eq(n, 50);
	ck_assert_int_eq(rounds, 8);
	client_close(&c);
}
END_TEST

START_TEST(a_listing_of_large_values_is_bounded)
{
	static char value[100000];
	struct msg_SET set = { .ttl_ms = -1,
		.value = { value, sizeof(value) } };
	struct msg_LIST list = { .prefix = msg_text("k"), .values = 1 };
	struct client c;
	char key[32];

	hub_start();
	client_open(&c, 1);
	for (int i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "k%02d", i);
		set.key = msg_text(key);
		ck_assert_int_eq(client_ask(&c, MSG_SET, &set), MSG_STORED);
	}
	ck_assert_int_eq(client_ask(&c, MSG_LIST, &list), MSG_ITEMS);
	ck_assert_uint_eq(c.msg.ITEMS.more, 1);
	ck_assert_uint_ge(c.msg.ITEMS.items.len, sizeof(value));
	ck_assert_uint_le(c.msg.ITEMS.items.len, 1100000);
	client_close(&c);
}
END_TEST

START_TEST(a_full_memory_is_said)
{
	struct msg_SET set = { .ttl_ms = -1 };
	struct client c;
	char key[32];
	int n = 0;

	hub_conf->hub.max_memory = 1 << 17;
	hub_start();
	client_open(&c, 1);
	do {
		snprintf(key, sizeof(key), "k%d", n++);
		set.key = set.value = msg_text(key);
		client_ask(&c, MSG_SET, &set);
	} while (client_code(&c) == HUB_OK);
	ck_assert_uint_eq(client_code(&c), HUB_FULL);
	ck_assert_str_eq(client_get(&c, "k0"), "k0");
	ck_assert(client_delete(&c, 1, "k0"));
	client_close(&c);
	/* after a restart with less of it all is there, and no more fits */
	hub_kill();
	hub_conf->hub.max_memory = 1 << 16;
	hub_start();
	client_open(&c, 2);
	ck_assert_str_eq(client_get(&c, "k1"), "k1");
	client_ask(&c, MSG_SET, &set);
	ck_assert_uint_eq(client_code(&c), HUB_FULL);
	client_close(&c);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("keys");
	TCase *tc = tcase_create("keys");

	tcase_add_checked_fixture(tc, hub_set_up, hub_tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_value_comes_and_goes);
	tcase_add_test(tc, what_is_wrong_is_refused_and_nothing_else_happens);
	tcase_add_test(tc, what_is_repeated_is_done_once);
	tcase_add_test(tc, what_did_nothing_does_nothing_when_it_is_repeated);
	tcase_add_test(tc, what_cannot_be_told_is_not_done);
	tcase_add_test(tc, it_survives_kill);
	tcase_add_test(tc, versions_and_ends_survive);
	tcase_add_test(tc, durabilities);
	tcase_add_test(tc, the_redo_file_changes_its_size);
	tcase_add_test(tc, the_ring_goes_round);
	tcase_add_test(tc, no_increment_is_lost_or_done_twice);
	tcase_add_test(tc, all_kinds_of_changes_and_kills_beside_a_model);
	tcase_add_test(tc, keys_are_listed_in_pieces);
	tcase_add_test(tc, a_listing_of_large_values_is_bounded);
	tcase_add_test(tc, a_full_memory_is_said);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
