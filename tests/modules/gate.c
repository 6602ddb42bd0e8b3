/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate - a module whose calls last exactly as long as a test wants, so that no
 * test has to guess how long is long enough.
 *
 *   pass   waits for a byte from the FIFO that the setting `fifo` names
 *   who    replies with the pid of the process and the setting `tag`
 *   some   as pass if its body is the JSON `true`, else it ends at once; adds 1
 *          to some:true (and sets some:pid) or some:false when it begins
 *   note   adds a byte to the file that the setting `notes` names, whatever
 *          becomes of the call; then as `pass` if its body is the JSON `true`;
 *          if it is `null`, it crashes
 *
 * What start() does depends on whether the files named by these settings are
 * there: crash_if (abort), fail_if (says no), hang_if (never returns).
 */
#include <brood.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const json_t *settings;

static const char *
setting(const char *name)
{
	return json_string_value(json_object_get(settings, name));
}

static bool
there(const char *name)
{
	return setting(name) != NULL && access(setting(name), F_OK) == 0;
}

static int
start(const json_t *given, char why[BROOD_WHY_SIZE])
{
	settings = given;
	if (there("crash_if"))
		abort();
	while (there("hang_if"))
		pause();
	if (!there("fail_if"))
		return 0;
	snprintf(why, BROOD_WHY_SIZE, "told to fail");
	return -1;
}

static enum brood_outcome
who(struct brood_call *call)
{
	const char *tag = setting("tag");

	return brood_reply(call, 200,
	    json_pack("{s:i,s:s}", "pid", (int)getpid(), "tag",
		tag != NULL ? tag : ""));
}

static enum brood_outcome
pass(struct brood_call *call)
{
	int fd = open(setting("fifo"), O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char byte;

	if (fd == -1)
		return brood_retry(call, 0, "%s", strerror(errno));
	do
		n = read(fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	close(fd);
	return who(call);
}

static enum brood_outcome
some(struct brood_call *call)
{
	bool waits = json_is_true(brood_call_json(call));

	json_t *pid = json_integer(getpid());

	if (waits)
		brood_set(call, "some:pid", pid, NULL);
	json_decref(pid);
	brood_incr(call, waits ? "some:true" : "some:false", 1, NULL, NULL);
	return waits ? pass(call) : BROOD_DONE;
}

static enum brood_outcome
note(struct brood_call *call)
{
	int fd = open(setting("notes"), O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd == -1 || write(fd, "x", 1) != 1)
		return brood_reject(call, 500, "%s", strerror(errno));
	close(fd);
	if (json_is_null(brood_call_json(call)))
		abort();
	return json_is_true(brood_call_json(call)) ? pass(call) : BROOD_DONE;
}

static const struct brood_handler handlers[] = {
	{ "pass", pass, "waits until it is let through" },
	{ "who", who, "tells the process" },
	{ "some", some, "waits when it is told to" },
	{ "note", note, "notes, and waits or crashes when it is told to" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "gate",
	.start = start,
	.handlers = handlers,
};
