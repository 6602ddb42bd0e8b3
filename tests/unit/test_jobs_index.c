/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_jobs_index - the structures under jobs when there are many: a million
 * that come and go, and long random operations against a model so simple that
 * it cannot be wrong.
 */
#include "fast_check.h"
#include "jobs_fixture.h"

/* --- many: as many as take a checker no longer than others a million */

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 50000, SEEDS = 5 };
#else
enum { MANY = 1000000, SEEDS = 30 };
#endif

START_TEST(many_come_and_go)
{
	enum { LANES = 10 };
	static uint64_t last[LANES];
	uint64_t uid;
	size_t n = 0;

	for (uid = 1; uid <= MANY; uid++) {
		char name[8] = { (char)('a' + uid % LANES) };

		/* every fourth is due later, with a deadline far away */
		if (uid % 4 == 0)
			put_later(name, uid, (int64_t)(uid % 1000),
			    INT64_MAX - (int64_t)uid);
		else
			put(name, uid, 0);
	}
	assert_counts(MANY / 4, MANY - MANY / 4, 0);
	while ((uid = next_at(0)) != 0) {
		ck_assert_uint_gt(uid, last[uid % LANES]);
		last[uid % LANES] = uid;
		end(uid);
		n++;
	}
	ck_assert_uint_eq(n, MANY - MANY / 4);
	ck_assert_int_eq(jobs_due(jobs, 1000), INT64_MAX);
	while ((uid = next_at(0)) != 0) {
		ck_assert_uint_eq(uid % 4, 0);
		end(uid);
		n++;
	}
	ck_assert_uint_eq(n, MANY);
	assert_counts(0, 0, 0);
}
END_TEST

/* --- against a model */

enum { MODEL_JOBS = 400, MODEL_LANES = 5 };

static struct model {
	bool there;
	int lane, level;
	enum job_state state;
	int64_t due_ms, expires_ms;
	int64_t order; /* among those queued */
} model[MODEL_JOBS];
static struct lane *lanes[MODEL_LANES];
static bool open_lane[MODEL_LANES];
static int concurrency[MODEL_LANES];
static int64_t tail_order, head_order;

static int
model_running(int lane)
{
	int n = 0;

	for (int i = 0; i < MODEL_JOBS; i++)
		n += model[i].there && model[i].lane == lane &&
		    model[i].state == JOB_RUNNING;
	return n;
}

static bool
model_may(int lane)
{
	return open_lane[lane] &&
	    (concurrency[lane] == 0 || model_running(lane) < concurrency[lane]);
}

/* Among what may run: is there nothing above it, and nothing before it? */
static void
model_chose(const struct job *job)
{
	const struct model *it = job != NULL ? &model[job->uid - 1] : NULL;

	for (int i = 0; i < MODEL_JOBS; i++) {
		const struct model *other = &model[i];

		if (!other->there || other->state != JOB_QUEUED ||
		    !model_may(other->lane))
			continue;
		ck_assert_ptr_nonnull(job);
		ck_assert_int_le(other->level, it->level);
		if (other->lane == it->lane && other->level == it->level)
			ck_assert_int_ge(other->order, it->order);
	}
	if (it != NULL) {
		ck_assert_int_eq(it->state, JOB_QUEUED);
		ck_assert(model_may(it->lane));
	}
}

static void
model_add(int i, int64_t wall_ms)
{
	struct model *m = &model[i];
	struct job job = { .uid = (uint64_t)i + 1 };
	enum hub_code code;

	if (m->there)
		return;
	*m = (struct model){
		.there = true,
		.lane = rand() % MODEL_LANES,
		.level = rand() % 4 == 0 ? 256 : rand() % 3,
		.state = rand() % 2 ? JOB_QUEUED : JOB_WAITING,
		.due_ms = wall_ms + rand() % 50,
		.expires_ms = rand() % 2 ? -1 : wall_ms + rand() % 200,
		.order = tail_order++,
	};
	job.lane = lanes[m->lane];
	job.kind = m->level == 256 ? JOB_CALL : JOB_MESSAGE;
	job.priority = (uint8_t)(m->level % 256);
	job.state = m->state;
	job.due_ms = m->due_ms;
	job.expires_ms = m->expires_ms;
	ck_assert_ptr_nonnull(jobs_add(jobs, &job, &code));
}

static void
model_next(void)
{
	int64_t again_ns;
	struct job *job = jobs_next(jobs, 0, &again_ns);

	model_chose(job);
	if (job != NULL)
		model[job->uid - 1].state = JOB_RUNNING;
}

static void
model_return(int i, int64_t wall_ms)
{
	struct model *m = &model[i];
	int64_t due_ms = wall_ms + rand() % 3 * 20;

	if (!m->there || m->state != JOB_RUNNING)
		return;
	jobs_return(jobs, jobs_find(jobs, (uint64_t)i + 1), due_ms, wall_ms);
	m->state = due_ms > wall_ms ? JOB_WAITING : JOB_QUEUED;
	m->due_ms = due_ms;
	m->order = head_order--;
}

static void
model_due(int64_t wall_ms)
{
	int64_t next_ms = INT64_MAX;

	for (;;) {
		struct model *first = NULL;

		/* by due time; those of one moment in any order */
		for (int i = 0; i < MODEL_JOBS; i++)
			if (model[i].there && model[i].state == JOB_WAITING &&
			    (first == NULL || model[i].due_ms < first->due_ms))
				first = &model[i];
		if (first != NULL)
			next_ms = first->due_ms;
		if (first == NULL || first->due_ms > wall_ms)
			break;
		first->state = JOB_QUEUED;
		next_ms = INT64_MAX;
		/* one order number for a moment: neither is before the other */
		first->order = tail_order + first->due_ms % 1000;
	}
	tail_order += 1000;
	ck_assert_int_eq(jobs_due(jobs, wall_ms), next_ms);
}

static void
model_expired(int64_t wall_ms)
{
	int64_t first_ms = INT64_MAX, next_ms;
	struct job *job = jobs_expired(jobs, wall_ms, &next_ms);

	for (int i = 0; i < MODEL_JOBS; i++)
		if (model[i].there && model[i].state != JOB_RUNNING &&
		    model[i].expires_ms >= 0 && model[i].expires_ms < first_ms)
			first_ms = model[i].expires_ms;
	ck_assert_int_eq(next_ms, first_ms);
	ck_assert_int_eq(job != NULL, first_ms <= wall_ms);
	if (job == NULL)
		return;
	ck_assert_int_eq(job->expires_ms, first_ms);
	model[job->uid - 1].there = false;
	jobs_remove(jobs, job);
}

static void
model_remove(int i)
{
	if (!model[i].there)
		return;
	jobs_remove(jobs, jobs_find(jobs, (uint64_t)i + 1));
	model[i].there = false;
}

static void
model_compare(void)
{
	size_t n[JOB_STATE_COUNT] = { 0 }, calls = 0;

	for (int i = 0; i < MODEL_JOBS; i++) {
		struct job *job = jobs_find(jobs, (uint64_t)i + 1);

		ck_assert_int_eq(job != NULL, model[i].there);
		if (job == NULL)
			continue;
		ck_assert_int_eq(job->state, model[i].state);
		n[job->state]++;
		calls += job->kind == JOB_CALL && job->state != JOB_RUNNING;
	}
	assert_counts(n[JOB_WAITING], n[JOB_QUEUED], n[JOB_RUNNING]);
	ck_assert_uint_eq(jobs_calls(jobs), calls);
}

START_TEST(random_operations_match_the_model)
{
	int64_t wall_ms = 0;

	srand((unsigned)_i);
	memset(model, 0, sizeof model);
	tail_order = head_order = 0;
	for (int i = 0; i < MODEL_LANES; i++) {
		lanes[i] = jobs_lane(jobs, (char[2]){ (char)('a' + i) });
		open_lane[i] = true;
		concurrency[i] = 0;
	}
	for (int step = 0; step < 10000; step++) {
		int i = rand() % MODEL_JOBS, lane = rand() % MODEL_LANES;

		switch (rand() % 12) {
		case 0:
			open_lane[lane] = rand() % 4 != 0;
			lane_set_open(lanes[lane], open_lane[lane]);
			break;
		case 1:
			concurrency[lane] = rand() % 8;
			lane_set_limits(lanes[lane],
			    &(struct lane_limits){
				.concurrency = concurrency[lane] });
			break;
		case 2:
			model_due(wall_ms += rand() % 20);
			break;
		case 3:
			model_expired(wall_ms);
			break;
		case 4:
		case 5:
			model_remove(i);
			break;
		case 6:
			model_return(i, wall_ms);
			break;
		case 7:
		case 8:
		case 9:
			model_add(i, wall_ms);
			break;
		default:
			model_next();
		}
		if (step % 50 == 0)
			model_compare();
	}
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, many_come_and_go);
	tcase_add_loop_test(tests, random_operations_match_the_model, 0, SEEDS);
}

int
main(void)
{
	return run_jobs_suite("jobs_index", add_tests);
}
