/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mail - who wants warnings, and the warnings themselves.
 *
 * A subscription is a binding of the mailer's queue, made and undone at run
 * time. A mail is a file of mail_folder whose name comes from the message's id,
 * or is handed to a mail server. The former is done exactly once however often
 * the message is tried: the file appears whole, by its name, or not at all.
 * (A message of others may lack an id: then it is once for each delivery.) A
 * server may have taken a mail whose sender was killed at that moment; it sees
 * the same Message-ID again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "modules/cruncher/cruncher.h"

#define NAME_SIZE 256	  /* of a file (NAME_MAX and a NUL) */
#define LOCAL_PART_MAX 64 /* RFC 5321, 4.5.3.1.1 */
#define SMTP_SECONDS 30.0

static const char local_part[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";

bool
cruncher_is_local_part(const char *text)
{
	size_t len = strspn(text, local_part);

	return len > 0 && len <= LOCAL_PART_MAX && text[len] == '\0';
}

/* --- subscriptions */

static enum brood_outcome
bind_or_not(struct brood_call *call,
    int (*change)(struct brood_call *call, const char *queue,
	const char *exchange, const char *key),
    const char *verb)
{
	const char *name = brood_call_param(call, "name");

	if (name == NULL || !cruncher_is_local_part(name))
		return brood_reject(call, 422,
		    "that is not what stands in front of an @");
	if (change(call, QUEUE_WARNINGS, EXCHANGE_SPAMMER, name) == -1)
		return cruncher_failed(call);
	return brood_reply(call, 200, json_pack("{s:s}", verb, name));
}

/* POST /subscriptions/{name} */
enum brood_outcome
cruncher_subscribe(struct brood_call *call)
{
	return bind_or_not(call, brood_bind, "subscribed");
}

/* DELETE /subscriptions/{name} */
enum brood_outcome
cruncher_unsubscribe(struct brood_call *call)
{
	return bind_or_not(call, brood_unbind, "unsubscribed");
}

/* --- mails */

/* What of a message's id may stand in a file's name and in a header. */
static void
clean_id(const char *id, char clean[LOCAL_PART_MAX + 1])
{
	size_t i;

	for (i = 0; i < LOCAL_PART_MAX && id[i] != '\0'; i++)
		clean[i] = strchr(local_part, id[i]) != NULL ? id[i] : '_';
	clean[i] = '\0';
}

/* The mail as it is sent (RFC 5322), to free; NULL without memory. */
static char *
compose(const char *user, const char *id, const char *text, size_t *len)
{
	char date[64], *mail = NULL;
	time_t now = time(NULL);
	struct tm tm;
	int n;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	n = asprintf(&mail,
	    "From: <%s>\r\nTo: <%s@%s>\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
	    "Subject: Your address is public\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
	    cruncher_settings.mail_from, user, cruncher_settings.spam_domain,
	    date, id, cruncher_settings.spam_domain, text);
	if (n == -1)
		return NULL;
	*len = (size_t)n;
	return mail;
}

/* All of it on the disk under a name of nobody's, then under its own. */
static int
write_file(int folder, const char *name, const char *mail, size_t len)
{
	char part[NAME_SIZE];
	int fd, rc = -1;

	snprintf(part, sizeof(part), ".part.%d", (int)getpid());
	fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0640);
	if (fd == -1)
		return -1;
	errno = ENOSPC;
	if (write(fd, mail, len) == (ssize_t)len && fsync(fd) == 0 &&
	    renameat(folder, part, folder, name) == 0)
		rc = fsync(folder);
	close(fd);
	if (rc == -1) {
		int error = errno;

		unlinkat(folder, part, 0);
		errno = error;
	}
	return rc;
}

/* 0, also when it is there already; -1 with errno. */
static int
mail_to_folder(const char *user, const char *id, const char *mail, size_t len)
{
	const char *path = cruncher_settings.mail_folder;
	char name[NAME_SIZE];
	int folder, rc = 0;

	if (mkdir(path, 0750) == -1 && errno != EEXIST)
		return -1;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder == -1)
		return -1;
	snprintf(name, sizeof(name), "%s.%s.eml", user, id);
	if (faccessat(folder, name, F_OK, 0) == -1)
		rc = write_file(folder, name, mail, len);
	close(folder);
	return rc;
}

static int
deliver(struct brood_call *call, const char *user, const char *id,
    const char *mail, size_t len, char why[BROOD_WHY_SIZE])
{
	double left = brood_call_remaining(call);
	char to[2 * ADDRESS_MAX];

	if (cruncher_settings.mail_folder != NULL &&
	    mail_to_folder(user, id, mail, len) == -1) {
		snprintf(why, BROOD_WHY_SIZE, "%s: %s",
		    cruncher_settings.mail_folder, strerror(errno));
		return -1;
	}
	if (cruncher_settings.smtp == NULL)
		return 0;
	snprintf(to, sizeof(to), "%s@%s", user, cruncher_settings.spam_domain);
	return smtp_send(cruncher_settings.smtp, cruncher_settings.mail_from,
	    to, mail, len, left < SMTP_SECONDS ? left : SMTP_SECONDS, why);
}

/* A warning of the queue `warnings`; the routing key says whom. */
enum brood_outcome
cruncher_mail(struct brood_call *call)
{
	struct brood_set with_success = { .on_success = true };
	const char *user = brood_call_property(call, "routing_key");
	const char *given = brood_call_property(call, "message_id");
	char id[LOCAL_PART_MAX + 1], why[BROOD_WHY_SIZE], *mail;
	size_t len;
	int rc;

	if (user == NULL || !cruncher_is_local_part(user))
		return brood_reject(call, 422, "the key is no user");
	/* On a broker others may have sent it, and not all give an id. */
	clean_id(given != NULL && given[0] != '\0' ? given :
						     brood_call_id(call),
	    id);
	mail = compose(user, id, brood_call_body(call, NULL), &len);
	if (mail == NULL)
		return brood_retry(call, 0, "no memory");
	rc = deliver(call, user, id, mail, len, why);
	free(mail);
	if (rc == -1)
		return brood_retry(call, 0, "%s", why);
	if (brood_incr(call, KEY_COUNT "mails", 1, &with_success, NULL) == -1)
		return cruncher_failed(call);
	brood_log(BROOD_INFO, "mailed %s", user);
	return BROOD_DONE;
}
