/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp - hands a mail to a mail server, with libcurl.
 *
 * The Makefile defines WITH_LIBCURL where that is installed; brood itself does
 * not need it, and without it the setting `smtp` is refused at the start.
 */
#include <stdio.h>
#include <string.h>

#include "modules/cruncher/cruncher.h"

#ifdef WITH_LIBCURL
#include <curl/curl.h>

struct reader {
	const char *at;
	size_t left;
};

static size_t
smtp_read(char *to, size_t size, size_t n, void *ctx)
{
	struct reader *reader = ctx;
	size_t len = size * n < reader->left ? size * n : reader->left;

	memcpy(to, reader->at, len);
	reader->at += len;
	reader->left -= len;
	return len;
}

bool
smtp_is_there(void)
{
	return true;
}

int
smtp_send(const char *url, const char *from, const char *to, const char *mail,
    size_t len, double timeout, char why[BROOD_WHY_SIZE])
{
	struct reader reader = { mail, len };
	struct curl_slist *recipients = curl_slist_append(NULL, to);
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (curl != NULL && recipients != NULL) {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
		    timeout > 0.001 ? (long)(timeout * 1000) : 1L);
		curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
		curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, smtp_read);
		curl_easy_setopt(curl, CURLOPT_READDATA, &reader);
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		code = curl_easy_perform(curl);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(recipients);
	if (code == CURLE_OK)
		return 0;
	snprintf(why, BROOD_WHY_SIZE, "%s: %s", url, curl_easy_strerror(code));
	return -1;
}

#else

bool
smtp_is_there(void)
{
	return false;
}

int
smtp_send(const char *url, const char *from, const char *to, const char *mail,
    size_t len, double timeout, char why[BROOD_WHY_SIZE])
{
	(void)from;
	(void)to;
	(void)mail;
	(void)len;
	(void)timeout;
	snprintf(why, BROOD_WHY_SIZE, "%s: built without libcurl", url);
	return -1;
}

#endif
