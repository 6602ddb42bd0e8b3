/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cruncher - the demo service: collects e-mail addresses, and warns their
 * owners.
 *
 *   POST /upload ──► emails (fanout) ──┬─► regex-cruncher ─┐
 *                                      └─► slow-cruncher ──┴─► status ─┐
 *    mails ◄── warnings ◄── spammer (direct, by local part) ◄──────────┘
 *
 * A text that is uploaded goes to both crunchers, which find the same addresses
 * in it; the slow one takes its time. What they find is collected in the shared
 * data: each address once, counted by domain. Who has an address in
 * `spam_domain` is sent one warning, ever: it reaches the queue of the mailer
 * if that user has subscribed (POST /subscriptions/NAME binds it), and is
 * unroutable otherwise.
 *
 * Exchanges, queues and the formats of the bodies are those of a well-known
 * example for message brokers, so that programs written for that can be mixed
 * with this. Nothing here is counted twice, whatever process is killed when:
 * each change is made with the success of the call that it follows from
 * (`on_success`), and that is acknowledged, committed and answered as one.
 *
 * The config next to it, etc/cruncher.conf, wires every handler.
 */
#include "modules/cruncher/cruncher.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "modules/cruncher/find.h"

struct cruncher_settings cruncher_settings = {
	.spam_domain = "apple.com",
	.slow_seconds = 5,
	.mail_from = "cruncher@localhost",
};

enum brood_outcome
cruncher_failed(struct brood_call *call)
{
	return brood_retry(call, 0, "%s", brood_why(call));
}

const char *
cruncher_now(void)
{
	static char text[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	struct cruncher_settings *to = &cruncher_settings;
	json_error_t error;

	if (json_unpack_ex((json_t *)settings, &error, 0,
		"{s?s, s?F, s?s, s?s, s?s !}", "spam_domain", &to->spam_domain,
		"slow_seconds", &to->slow_seconds, "mail_folder",
		&to->mail_folder, "mail_from", &to->mail_from, "smtp",
		&to->smtp) == -1) {
		snprintf(why, BROOD_WHY_SIZE, "settings: %s", error.text);
		return -1;
	}
	if (to->slow_seconds < 0) {
		snprintf(why, BROOD_WHY_SIZE,
		    "settings: slow_seconds is negative");
		return -1;
	}
	if (to->smtp != NULL && strncmp(to->smtp, "smtp://", 7) != 0 &&
	    strncmp(to->smtp, "smtps://", 8) != 0) {
		snprintf(why, BROOD_WHY_SIZE,
		    "settings: smtp is smtp://HOST:PORT or smtps://HOST:PORT");
		return -1;
	}
	if (to->smtp != NULL && !smtp_is_there()) {
		snprintf(why, BROOD_WHY_SIZE,
		    "settings: smtp needs libcurl, without which the module "
		    "was built");
		return -1;
	}
	return find_start(why);
}

static const struct brood_handler handlers[] = {
	{ "addresses", cruncher_addresses, "replies with a text's addresses" },
	{ "upload", cruncher_upload, "takes a text for the crunchers" },
	{ "regex", cruncher_regex, "finds the addresses in a text" },
	{ "slow", cruncher_slow, "the same, slowly" },
	{ "collect", cruncher_collect, "keeps the addresses that were found" },
	{ "status", cruncher_status, "replies with all counts" },
	{ "list", cruncher_list, "replies with all addresses" },
	{ "subscribe", cruncher_subscribe, "has {name} warned" },
	{ "unsubscribe", cruncher_unsubscribe, "has {name} warned no more" },
	{ "mail", cruncher_mail, "mails a warning" },
	{ "count", cruncher_count, "has a text's addresses counted" },
	{ "counter", cruncher_counter, "counts a text's addresses" },
	{ "digest", cruncher_digest, "sums up what there is" },
	{ "watch", cruncher_watch, "keeps what has changed last" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "cruncher",
	.start = start,
	.stop = find_stop,
	.handlers = handlers,
};
