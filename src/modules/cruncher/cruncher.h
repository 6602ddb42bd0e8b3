/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cruncher - what the files of the demo module share; see cruncher.c for what
 * it does and what it keeps where.
 */
#ifndef CRUNCHER_H
#define CRUNCHER_H

#include "brood.h"

/* The group `settings` of the module's entry. */
struct cruncher_settings {
	const char *spam_domain;	/* whose users are warned */
	double slow_seconds;		/* what the slow cruncher takes */
	const char *mail_folder;	/* a file for each mail, or NULL */
	const char *mail_from;
	const char *smtp;		/* "smtp://HOST:PORT", or NULL */
};
extern struct cruncher_settings cruncher_settings;

/* Exchanges and queues, as the config names them. */
#define EXCHANGE_EMAILS "emails"	/* fanout: documents */
#define EXCHANGE_SPAMMER "spammer"	/* direct: warnings, by local part */
#define QUEUE_STATUS "status"		/* lists of addresses */
#define QUEUE_WARNINGS "warnings"	/* what the mailer takes */
#define QUEUE_COUNT "count"		/* texts to be counted, by RPC */

/* Keys of the shared data. */
#define KEY_ADDRESS "address:"		/* + address: 1 */
#define KEY_DOMAIN "domain:"		/* + domain: how many addresses */
#define KEY_WARNED "warned:"		/* + local part: 1 */
#define KEY_COUNT "count:"		/* + what: how many */
#define KEY_DIGEST "digest"		/* the last digest */
#define KEY_CHANGE "last_change"	/* what the watcher saw last */

/* Longer ones are no address of any mail system (RFC 5321, 4.5.3.1: 64 + 1 +
 * 255), and no key; the collector counts and skips them. */
#define ADDRESS_MAX 320

/* --- crunch.c */
brood_handler_fn cruncher_addresses, cruncher_upload, cruncher_regex,
    cruncher_slow, cruncher_count, cruncher_counter;

/* --- status.c */
brood_handler_fn cruncher_collect, cruncher_status, cruncher_list,
    cruncher_digest, cruncher_watch;

/* --- mail.c */
brood_handler_fn cruncher_subscribe, cruncher_unsubscribe, cruncher_mail;

/* Is it what the regular expression takes in front of the @, and fit for a
 * file's name and a mail's header? */
bool cruncher_is_local_part(const char *text);

/* Of the message that the call is; 0 without one. What follows from an urgent
 * document is as urgent. */
int cruncher_priority(struct brood_call *call);

/* "Not now", with the reason of the function of brood.h that just failed. */
enum brood_outcome cruncher_failed(struct brood_call *call);

/* "2026-01-31T23:59:59Z", valid until the next call. */
const char *cruncher_now(void);

/* --- smtp.c, made with libcurl where that is installed */

/* Sends one mail. 0, or -1 with the reason. */
int smtp_send(const char *url, const char *from, const char *to,
    const char *mail, size_t len, double timeout, char why[BROOD_WHY_SIZE]);
bool smtp_is_there(void);

#endif
