/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * head - the rules of RFC 9112 that matter to a server's safety, in one place.
 *
 * Called by front with raw bytes and by exchange with what the HTTP library
 * made of them; both come to the same verdict. Where the RFC leaves a choice,
 * the answer is no: line folding, two lengths, a length beside a transfer
 * coding, blanks around a name. Allocates nothing and keeps pointers only.
 */
#include "rest/head.h"

#include <string.h>
#include <strings.h>

#define METHOD_MAX 32

/* tchar of RFC 9110, 5.6.2 */
static bool
is_token(unsigned char c)
{
	unsigned char lower = c | 0x20;

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	    c == '-' || (c != '\0' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

static bool
token_ok(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_token((unsigned char)text[i]))
			return false;
	return len > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* Is one of eight bytes a control byte? It may say so of a byte that follows
 * one that is. */
static bool
has_control(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t del = bytes ^ ones * 0x7f;

	return (((bytes - ones * 0x20) & ~bytes) | ((del - ones) & ~del)) &
	    ones * 0x80;
}

/* No control bytes but tabs. Eight at a time, as most of a head is this. */
static bool
value_ok(const char *value, size_t len)
{
	uint64_t eight;
	size_t i;

	for (; len >= sizeof(eight); len -= sizeof(eight)) {
		memcpy(&eight, value, sizeof(eight));
		if (has_control(eight))
			break;
		value += sizeof(eight);
	}
	for (i = 0; i < len; i++)
		if (is_control((unsigned char)value[i]) && value[i] != '\t')
			return false;
	return true;
}

static bool
equals(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* Is the word in a list like "keep-alive, close"? */
static bool
list_has(const char *list, size_t len, const char *word)
{
	const char *end = list + len, *stop;

	while (list < end) {
		stop = memchr(list, ',', (size_t)(end - list));
		if (stop == NULL)
			stop = end;
		while (list < stop && is_blank(*list))
			list++;
		len = (size_t)(stop - list);
		while (len > 0 && is_blank(list[len - 1]))
			len--;
		if (equals(list, len, word))
			return true;
		list = stop + 1;
	}
	return false;
}

void
head_init(struct head *head)
{
	*head = (struct head){ .length = -1 };
}

void
head_bad(struct head *head, int status, const char *detail)
{
	if (head->status != 0)
		return;
	head->status = status;
	head->detail = detail;
}

void
head_method(struct head *head, const char *method, size_t len)
{
	if (!token_ok(method, len))
		head_bad(head, 400, "the method is not a token");
	else if (len > METHOD_MAX)
		head_bad(head, 501, "no method has so long a name");
}

void
head_target(struct head *head, const char *target, size_t len,
    const struct head_limits *limits)
{
	const unsigned char *p = (const unsigned char *)target;

	if (len > limits->max_uri) {
		head_bad(head, 414, "the request target is too long");
		return;
	}
	if (len == 0)
		head_bad(head, 400, "the request line has no target");
	for (size_t i = 0; i < len; i++) {
		if (p[i] <= ' ' || p[i] == 0x7f) {
			head_bad(head, 400,
			    "the request target has a space "
			    "or a control byte in it");
			return;
		}
	}
}

/* ---- fields */

static void
field_length(struct head *head, const char *value, size_t len)
{
	int64_t length = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9') {
			head_bad(head, 400, "Content-Length is not a number");
			return;
		}
		if (__builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, value[i] - '0', &length)) {
			head_bad(head, 413, "the body is too large");
			return;
		}
	}
	if (len == 0)
		head_bad(head, 400, "Content-Length is empty");
	else if (head->length != -1 && head->length != length)
		head_bad(head, 400, "there are two values of Content-Length");
	head->length = length;
}

static void
field_transfer(struct head *head, const char *value, size_t len)
{
	if (head->chunked)
		head_bad(head, 400, "there are two of Transfer-Encoding");
	if (!equals(value, len, "chunked"))
		head_bad(head, 501,
		    "chunked is the only transfer coding that is understood");
	head->chunked = true;
}

static void
field_host(struct head *head, const char *value, size_t len)
{
	if (++head->hosts > 1)
		head_bad(head, 400, "there are two of Host");
	if (memchr(value, ' ', len) != NULL || memchr(value, '\t', len) != NULL)
		head_bad(head, 400, "Host has a blank in it");
}

static void
field_expect(struct head *head, const char *value, size_t len)
{
	if (equals(value, len, "100-continue"))
		head->expect = true;
	else
		head_bad(head, 417,
		    "100-continue is the only expectation that can be met");
}

static void
keep_first(const char **field, const char *value)
{
	if (*field == NULL)
		*field = value;
}

/* The fields that brood itself looks at, found by the length of their name. */
static void
field_note(struct head *head, const char *name, size_t name_len,
    const char *value, size_t len)
{
	size_t trimmed = len;

	while (trimmed > 0 && is_blank(value[trimmed - 1]))
		trimmed--;
	switch (name_len) {
	case 4:
		if (equals(name, 4, "Host"))
			field_host(head, value, trimmed);
		break;
	case 6:
		if (equals(name, 6, "Expect"))
			field_expect(head, value, trimmed);
		else if (equals(name, 6, "Prefer"))
			prefer_parse(&head->prefer, value, trimmed);
		break;
	case 10:
		if (!equals(name, 10, "Connection"))
			break;
		head->close |= list_has(value, trimmed, "close");
		head->keep |= list_has(value, trimmed, "keep-alive");
		break;
	case 11:
		if (equals(name, 11, "traceparent"))
			keep_first(&head->traceparent, value);
		break;
	case 12:
		if (equals(name, 12, "Content-Type"))
			keep_first(&head->type, value);
		else if (equals(name, 12, "X-Request-Id"))
			keep_first(&head->id, value);
		break;
	/* The library takes these two with the blanks that follow: so do we,
	 * and do not agree on a body that it sees differently. */
	case 14:
		if (equals(name, 14, "Content-Length"))
			field_length(head, value, len);
		break;
	case 15:
		if (!equals(name, 15, "Idempotency-Key"))
			break;
		head->idempotency = value;
		head->idempotency_len = trimmed;
		head->idempotencies++;
		break;
	case 17:
		if (equals(name, 17, "Transfer-Encoding"))
			field_transfer(head, value, len);
		break;
	case 16:
		if (equals(name, 16, "Content-Encoding") && trimmed > 0 &&
		    !equals(value, trimmed, "identity"))
			keep_first(&head->coding, value);
		break;
	}
}

void
head_field(struct head *head, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	if (!token_ok(name, name_len)) {
		head_bad(head, 400,
		    "the name of a header field is not a token");
		return;
	}
	if (!value_ok(value, value_len)) {
		head_bad(head, 400, "a header field has a control byte in it");
		return;
	}
	field_note(head, name, name_len, value, value_len);
}

void
head_finish(struct head *head, unsigned minor)
{
	if (head->chunked && head->length != -1)
		head_bad(head, 400,
		    "there are both Content-Length and "
		    "Transfer-Encoding");
	if (head->chunked && minor == 0)
		head_bad(head, 400, "HTTP/1.0 has no Transfer-Encoding");
	if (head->hosts == 0 && minor > 0)
		head_bad(head, 400, "there is no Host");
	if (minor == 0)
		head->expect = false;
}

/* ---- the first bytes of a connection */

struct scan {
	struct head *head;
	const struct head_limits *limits;
	const char *at, *end;
};

/*
 * Takes a line with either end. NULL when it is not all there: *len is what
 * there is of it then.
 */
static const char *
scan_line(struct scan *scan, size_t *len)
{
	const char *line = scan->at;
	const char *feed = memchr(line, '\n', (size_t)(scan->end - line));

	if (feed == NULL) {
		*len = (size_t)(scan->end - line);
		return NULL;
	}
	scan->at = feed + 1;
	*len = (size_t)(feed - line);
	if (*len > 0 && line[*len - 1] == '\r')
		--*len;
	return line;
}

/* The beginning of a request line whose end has not come. */
static void
scan_part_of_request_line(struct scan *scan, size_t len)
{
	const char *line = scan->at, *space = memchr(line, ' ', len);
	size_t method_len = space != NULL ? (size_t)(space - line) : len;

	if (len == 0)
		return;
	head_method(scan->head, line, method_len);
	/* the target, and as much again for " HTTP/1.1" */
	if (space != NULL && len - method_len > scan->limits->max_uri + 16)
		head_bad(scan->head, 414, "the request target is too long");
}

static void
scan_version(struct head *head, const char *version, size_t len,
    unsigned *minor)
{
	if (len != 8 || memcmp(version, "HTTP/", 5) != 0 || version[5] < '0' ||
	    version[5] > '9' || version[6] != '.' || version[7] < '0' ||
	    version[7] > '9') {
		head_bad(head, 400,
		    "the request line is not METHOD TARGET "
		    "HTTP/1.1");
		return;
	}
	if (version[5] != '1')
		head_bad(head, 505, "this is an HTTP/1.1 server");
	*minor = (unsigned)(version[7] - '0');
}

static void
scan_request_line(struct scan *scan, const char *line, size_t len,
    unsigned *minor)
{
	const char *first = memchr(line, ' ', len);
	const char *last = memrchr(line, ' ', len);

	head_method(scan->head, line,
	    first != NULL ? (size_t)(first - line) : len);
	if (first == NULL || first == last) {
		head_bad(scan->head, 400,
		    "the request line is not METHOD "
		    "TARGET HTTP/1.1");
		return;
	}
	scan->head->head_method = equals(line, (size_t)(first - line), "HEAD");
	scan_version(scan->head, last + 1, len - (size_t)(last + 1 - line),
	    minor);
	head_target(scan->head, first + 1, (size_t)(last - first - 1),
	    scan->limits);
}

static void
scan_field(struct head *head, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value;

	if (is_blank(line[0])) {
		head_bad(head, 400, "a header field is folded over two lines");
		return;
	}
	if (colon == NULL) {
		head_bad(head, 400, "a header line has no colon");
		return;
	}
	for (value = colon + 1; value < line + len && is_blank(*value); value++)
		;
	head_field(head, line, (size_t)(colon - line), value,
	    (size_t)(line + len - value));
}

bool
head_scan(struct head *head, const char *bytes, size_t len,
    const struct head_limits *limits)
{
	struct scan scan = { .head = head,
		.limits = limits,
		.at = bytes,
		.end = bytes + len };
	const char *line, *fields;
	unsigned minor = 1;
	size_t n;

	head_init(head);
	/* empty lines before a request are to be ignored (RFC 9112, 2.2) */
	while ((line = scan_line(&scan, &n)) != NULL && n == 0)
		;
	if (line == NULL) {
		if (n > 0 && !(n == 1 && scan.at[0] == '\r'))
			scan_part_of_request_line(&scan, n);
		return head->status == 0;
	}
	scan_request_line(&scan, line, n, &minor);
	fields = scan.at;
	while (
	    head->status == 0 && (line = scan_line(&scan, &n)) != NULL && n > 0)
		scan_field(head, line, n);
	if ((size_t)(scan.at - fields) + (line == NULL ? n : 0) >
	    limits->max_header)
		head_bad(head, 431, "the header fields are too large");
	if (line != NULL)
		head_finish(head, minor);
	/* They point into bytes that are soon gone. */
	head->type = head->coding = head->id = head->traceparent = NULL;
	head->idempotency = NULL;
	return head->status == 0;
}
