/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scoreboard - the shared mapping: header pages, the hub's cancels, a run of
 * pages for each pool, a page for each slot.
 *
 * The mapping is sized for every slot at once and never moves; pages nobody
 * touched cost nothing. Each part that one child may write has pages of its own
 * so that the rest can be made read-only to it.
 */
#include "core/scoreboard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* How often a reader tries to catch a call between two writes. */
#define SNAPSHOT_TRIES 64

static const char *const door_names[DOOR_COUNT] = {
	[DOOR_NONE] = "-",
	[DOOR_REST] = "rest",
	[DOOR_CONTROL] = "control",
	[DOOR_JOB] = "job",
	[DOOR_MESSAGE] = "message",
	[DOOR_SCHEDULE] = "schedule",
	[DOOR_BACKGROUND] = "background",
};

const char *
door_name(enum call_door door)
{
	return (unsigned)door < DOOR_COUNT ? door_names[door] : "?";
}

int
board_create(struct board *board, unsigned slots)
{
	size_t pools = ROLE_COUNT * sizeof(struct board_pool);
	size_t shared = sizeof(struct board_header) +
	    sizeof(struct board_cancel);
	size_t size = shared + pools + slots * sizeof(struct slot);

	int fd = memfd_create("brood-scoreboard",
	    MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	char *base = MAP_FAILED;
	/* a file that cannot shrink cannot turn a read into SIGBUS */
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	int saved = errno;
	close(fd);
	errno = saved;
	if (base == MAP_FAILED)
		return -1;

	board->header = (struct board_header *)(void *)base;
	board->cancel = (struct board_cancel *)(void *)(base +
	    sizeof(struct board_header));
	board->pool = (struct board_pool *)(void *)(base + shared);
	board->slot = (struct slot *)(void *)(base + shared + pools);
	board->slots = slots;
	board->size = size;
	board->header->slots = slots;
	for (int i = 0; i < ROLE_COUNT; i++) {
		board->pool[i].min_spare = -1;
		board->pool[i].deadline_known_ns = CLOCK_NEVER;
	}
	return 0;
}

void
board_release(struct board *board)
{
	if (board->header)
		munmap(board->header, board->size);
	memset(board, 0, sizeof *board);
}

int
board_protect(struct board *board, enum role_id role, unsigned slot)
{
	if (mprotect(board->header, board->size, PROT_READ) < 0)
		return -1;
	if (mprotect(&board->pool[role], sizeof(struct board_pool),
		PROT_READ | PROT_WRITE) < 0)
		return -1;
	if (role == ROLE_HUB &&
	    mprotect(board->cancel, sizeof(struct board_cancel),
		PROT_READ | PROT_WRITE) < 0)
		return -1;
	return mprotect(&board->slot[slot], sizeof(struct slot),
	    PROT_READ | PROT_WRITE);
}

void
board_death_add(struct board *board, const struct board_death *death)
{
	struct board_header *header = board->header;
	uint32_t n = header->deaths;
	struct board_death *to = &header->death[n % BOARD_DEATHS];
	struct slot_snapshot seen;

	*to = *death;
	for (unsigned i = 0; i < board->slots; i++)
		if (board->slot[i].pid == death->pid) {
			slot_snapshot(&board->slot[i], &seen);
			to->uid = seen.call.uid;
			to->attempt = seen.call.attempt;
			to->in_call = seen.in_call;
		}
	header->deaths = n + 1;
}

void
board_death_forget(struct board *board, int pid)
{
	struct board_header *header = board->header;

	for (unsigned i = 0; i < BOARD_DEATHS; i++)
		if (header->death[i].pid == pid)
			header->death[i].pid = 0;
}

bool
board_death_find(const struct board *board, int pid, struct board_death *death)
{
	const struct board_header *header = board->header;
	uint32_t end = header->deaths;

	for (uint32_t n = end; n > 0 && end - n < BOARD_DEATHS; n--) {
		*death = header->death[(n - 1) % BOARD_DEATHS];
		if (death->pid == pid)
			/* the next one may be on its way to the same place */
			return header->deaths - (n - 1) < BOARD_DEATHS;
	}
	return false;
}

void
board_cancel_call(struct board *board, unsigned slot, uint64_t uid)
{
	if (slot < board->slots)
		board->cancel->uid[slot] = uid;
}

/* Each writes its word and then looks at the other's, so that at least one of
 * them sees what the other has written. */
bool
board_recall(struct board *board, unsigned slot, uint64_t uid)
{
	struct slot_snapshot seen;

	if (slot >= board->slots)
		return false;
	atomic_store(&board->cancel->recall[slot], uid);
	atomic_thread_fence(memory_order_seq_cst);
	if (uid == 0)
		return false;
	slot_snapshot(&board->slot[slot], &seen);
	return seen.in_call && seen.call.uid == uid;
}

bool
board_drops(struct board *board, unsigned slot, uint64_t uid)
{
	bool drops;

	atomic_thread_fence(memory_order_seq_cst);
	drops = uid != 0 && atomic_load(&board->cancel->recall[slot]) == uid;
	atomic_store(&board->slot[slot].dropped, drops ? uid : 0);
	return drops;
}

bool
board_is_cancelled(const struct board *board, unsigned slot, uint64_t uid)
{
	return uid != 0 && slot < board->slots &&
	    board->cancel->uid[slot] == uid;
}

void
slot_reset(struct slot *slot, int role, unsigned generation)
{
	uint64_t uid_time = slot->uid_time;

	memset(slot, 0, sizeof *slot);
	slot->uid_time = uid_time;
	slot->role = role;
	slot->generation = generation;
	slot->forked_ns = clock_now_ns();
	slot->heartbeat_ns = slot->forked_ns;
}

static int
bitmap_count(const _Atomic uint64_t *bits, uint32_t words)
{
	int n = 0;

	if (words > BOARD_MAX_SLOTS / 64)
		words = BOARD_MAX_SLOTS / 64;
	/* in one order with the bits: who clears the last one sees it */
	for (uint32_t i = 0; i < words; i++)
		n += __builtin_popcountll(atomic_load(&bits[i]));
	return n;
}

/* True when the bit changed. */
static bool
bitmap_put(_Atomic uint64_t *bits, unsigned slot, bool on)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);
	_Atomic uint64_t *word = &bits[slot / 64];

	uint64_t before = on ? atomic_fetch_or(word, bit) :
			       atomic_fetch_and(word, ~bit);
	return ((before & bit) != 0) != on;
}

int
board_count_spare(const struct board *board, enum role_id role)
{
	const struct board_pool *pool = &board->pool[role];

	return bitmap_count(pool->spare, pool->words);
}

int
board_count_full(const struct board *board, enum role_id role)
{
	const struct board_pool *pool = &board->pool[role];

	return bitmap_count(pool->full, pool->words);
}

bool
board_set_spare(struct board *board, enum role_id role, unsigned slot,
    bool spare)
{
	struct board_pool *pool = &board->pool[role];

	if (!bitmap_put(pool->spare, slot, spare) || spare)
		return false;
	int n = board_count_spare(board, role), low = pool->low;
	while (n < low && !atomic_compare_exchange_weak(&pool->low, &low, n))
		;
	return n < pool->min_spare && pool->armed == 1 &&
	    atomic_exchange(&pool->armed, 0) == 1;
}

void
board_set_full(struct board *board, enum role_id role, unsigned slot, bool full)
{
	bitmap_put(board->pool[role].full, slot, full);
}

bool
board_has_lighter(const struct board *board, enum role_id role, unsigned slot)
{
	const struct board_pool *pool = &board->pool[role];
	uint32_t mine = board->slot[slot].connections, words = pool->words;

	for (uint32_t w = 0; w < words && w < BOARD_MAX_SLOTS / 64; w++) {
		uint64_t bits = pool->spare[w];
		for (; bits != 0; bits &= bits - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);
			if (i < board->slots &&
			    board->slot[i].connections < mine)
				return true;
		}
	}
	return false;
}

bool
board_saturated(const struct board *board, enum role_id role)
{
	return board->pool[role].at_max &&
	    board_count_full(board, role) >= board->pool[role].children;
}

bool
board_tell_deadline(struct board *board, enum role_id role, int64_t at_ns)
{
	struct board_pool *pool = &board->pool[role];
	int64_t known = pool->deadline_known_ns;

	while (at_ns < known)
		if (atomic_compare_exchange_weak(&pool->deadline_known_ns,
			&known, at_ns))
			return true;
	return false;
}

bool
slot_call_begin(struct board *board, struct slot *slot,
    const struct slot_call *call)
{
	atomic_fetch_add(&slot->call_seq, 1);
	slot->call = *call;
	atomic_fetch_add(&slot->call_seq, 1);

	if ((unsigned)slot->role >= ROLE_COUNT || call->deadline_ns <= 0)
		return false;
	return board_tell_deadline(board, (enum role_id)slot->role,
	    call->deadline_ns);
}

void
slot_call_end(struct slot *slot, bool error, int64_t took_ns)
{
	atomic_fetch_add(&slot->call_seq, 1);
	slot->call.started_ns = 0;
	slot->call.deadline_ns = 0;
	atomic_fetch_add(&slot->call_seq, 1);
	/* the only writer is this process: no need to lock the bus */
	atomic_store_explicit(&slot->calls, slot->calls + 1,
	    memory_order_relaxed);
	if (error)
		atomic_store_explicit(&slot->errors, slot->errors + 1,
		    memory_order_relaxed);
	histogram_add(&slot->latency, took_ns);
}

void
slot_set_note(struct slot *slot, bool trouble, const char *note)
{
	atomic_fetch_add(&slot->note_seq, 1);
	slot->note_trouble = trouble;
	mem_copy_string(slot->note, sizeof slot->note, note);
	atomic_fetch_add(&slot->note_seq, 1);
}

/* A moment that may be subtracted from another one. */
static int64_t
time_clean(int64_t at_ns)
{
	return at_ns < 0 ? 0 : at_ns;
}

/* Ends the text and makes every byte of it printable. */
static void
text_clean(char *text, size_t size, bool lines)
{
	text[size - 1] = '\0';
	for (char *p = text; *p; p++)
		if ((*p < ' ' || *p > '~') && !(lines && *p == '\n'))
			*p = '?';
}

static void
note_snapshot(const struct slot *slot, struct slot_snapshot *out)
{
	unsigned char trouble = 0;

	for (int i = 0; i < SNAPSHOT_TRIES; i++) {
		uint32_t seq = atomic_load(&slot->note_seq);
		memcpy(out->note, slot->note, sizeof out->note);
		/* whatever a child may have put there, it is no bool yet */
		memcpy(&trouble, &slot->note_trouble, sizeof trouble);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && seq == atomic_load(&slot->note_seq))
			break;
	}
	text_clean(out->note, sizeof out->note, false);
	out->note_trouble = trouble != 0 && out->note[0] != '\0';
}

void
slot_snapshot(const struct slot *slot, struct slot_snapshot *out)
{
	memset(out, 0, sizeof *out);
	out->heartbeat_ns = time_clean(slot->heartbeat_ns);
	out->forked_ns = time_clean(slot->forked_ns);
	out->calls = slot->calls;
	out->errors = slot->errors;
	out->connections = slot->connections;
	out->crash_signo = slot->crash.signo;

	for (int i = 0; i < SNAPSHOT_TRIES; i++) {
		uint32_t seq = atomic_load(&slot->call_seq);
		memcpy(&out->call, &slot->call, sizeof out->call);
		atomic_thread_fence(memory_order_acquire);
		/* a child that died while writing leaves it odd: better a
		 * torn text than none */
		if (!(seq & 1) && seq == atomic_load(&slot->call_seq))
			break;
	}
	out->call.started_ns = time_clean(out->call.started_ns);
	out->call.deadline_ns = time_clean(out->call.deadline_ns);
	out->in_call = out->call.started_ns != 0;
	text_clean(out->call.id, sizeof out->call.id, false);
	text_clean(out->call.method, sizeof out->call.method, false);
	text_clean(out->call.path, sizeof out->call.path, false);
	text_clean(out->call.handler, sizeof out->call.handler, false);
	text_clean(out->call.peer, sizeof out->call.peer, false);

	note_snapshot(slot, out);
	memcpy(out->last_error, slot->last_error, sizeof out->last_error);
	text_clean(out->last_error, sizeof out->last_error, false);
	memcpy(out->crash_trace, slot->crash.trace, sizeof out->crash_trace);
	text_clean(out->crash_trace, sizeof out->crash_trace, true);
}
