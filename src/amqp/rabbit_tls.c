/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_tls - TLS to a broker, by GnuTLS: the library that already serves
 * HTTPS here (through libmicrohttpd), which takes keys from memory (they are
 * read before privileges are dropped), can be told never to wait, and says in
 * words what is wrong with a certificate.
 */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/rabbit_net.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/conf.h"

#define RECORD_MAX 16384

struct tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	bool flushing; /* a record is half written */
	size_t taken;  /* and holds so many bytes of ours */
};

static gnutls_datum_t
datum_of(char *pem)
{
	return (gnutls_datum_t){ (unsigned char *)pem,
		pem != NULL ? (unsigned)strlen(pem) : 0 };
}

static int
load_authority(gnutls_certificate_credentials_t credentials,
    const struct conf *conf, struct why *why)
{
	gnutls_datum_t pem = datum_of(conf->amqp_ca);
	int n;

	n = conf->amqp_ca != NULL ?
	    gnutls_certificate_set_x509_trust_mem(credentials, &pem,
		GNUTLS_X509_FMT_PEM) :
	    gnutls_certificate_set_x509_system_trust(credentials);
	if (n > 0)
		return 0;
	if (conf->amqp_ca == NULL)
		return why_set(why,
		    "this system has no certificate to verify a broker by%s%s; "
		    "name the file of its authority in 'amqp.tls.ca'",
		    n < 0 ? ": " : "", n < 0 ? gnutls_strerror(n) : "");
	return why_set(why,
	    "'amqp.tls.ca': %s has no certificate that can be used%s%s; it "
	    "must have those of the broker's authority, in PEM format",
	    conf->amqp_tls.ca, n < 0 ? ": " : "",
	    n < 0 ? gnutls_strerror(n) : "");
}

/* Which of the two files is at fault, when one is. */
static int
explain_pair(const struct conf *conf, int code, struct why *why)
{
	gnutls_datum_t certificate = datum_of(conf->amqp_certificate);
	gnutls_datum_t key = datum_of(conf->amqp_key);
	gnutls_x509_crt_t *list = NULL;
	gnutls_x509_privkey_t private;
	unsigned n = 0;
	int rc;

	rc = gnutls_x509_crt_list_import2(&list, &n, &certificate,
	    GNUTLS_X509_FMT_PEM, 0);
	if (rc < 0)
		return why_set(why,
		    "'amqp.tls.certificate': %s has no certificate that can be "
		    "used: %s; it must have ours, in PEM format",
		    conf->amqp_tls.certificate, gnutls_strerror(rc));
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	rc = gnutls_x509_privkey_init(&private);
	if (rc >= 0) {
		rc = gnutls_x509_privkey_import2(private, &key,
		    GNUTLS_X509_FMT_PEM, NULL, 0);
		gnutls_x509_privkey_deinit(private);
	}
	if (rc < 0)
		return why_set(why,
		    "'amqp.tls.key': %s has no key that can be used: %s; it "
		    "must have that of 'amqp.tls.certificate', in PEM format "
		    "and without a passphrase",
		    conf->amqp_tls.key, gnutls_strerror(rc));
	return why_set(why,
	    "'amqp.tls.certificate', %s, and 'amqp.tls.key', %s, do not belong "
	    "together: %s; the first certificate must be that of the key",
	    conf->amqp_tls.certificate, conf->amqp_tls.key,
	    gnutls_strerror(code));
}

static int
load_pair(gnutls_certificate_credentials_t credentials, const struct conf *conf,
    struct why *why)
{
	gnutls_datum_t certificate = datum_of(conf->amqp_certificate);
	gnutls_datum_t key = datum_of(conf->amqp_key);
	int rc;

	if (conf->amqp_certificate == NULL || conf->amqp_key == NULL)
		return 0;
	rc = gnutls_certificate_set_x509_key_mem(credentials, &certificate,
	    &key, GNUTLS_X509_FMT_PEM);
	return rc >= 0 ? 0 : explain_pair(conf, rc, why);
}

void
tls_check(const struct conf *conf, struct conf_errors *errors)
{
	gnutls_certificate_credentials_t credentials;
	struct why why;

	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return;
	/* the system's may come and go without us */
	if (conf->amqp_ca != NULL &&
	    load_authority(credentials, conf, &why) == -1)
		conf_errors_add(errors, "%s: %s", conf->file, why.text);
	if (load_pair(credentials, conf, &why) == -1)
		conf_errors_add(errors, "%s: %s", conf->file, why.text);
	gnutls_certificate_free_credentials(credentials);
}

static int
prepare(struct tls *tls, const struct conf *conf, const struct url *url,
    struct why *why)
{
	unsigned char address[16];
	bool is_name = inet_pton(AF_INET, url->host, address) != 1 &&
	    inet_pton(AF_INET6, url->host, address) != 1;
	int rc;

	if (gnutls_certificate_allocate_credentials(&tls->credentials) < 0)
		return why_set(why, "TLS: out of memory");
	if (conf->amqp_tls.verify &&
	    load_authority(tls->credentials, conf, why) == -1)
		return -1;
	if (load_pair(tls->credentials, conf, why) == -1)
		return -1;
	rc = gnutls_init(&tls->session,
	    GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
	if (rc >= 0)
		rc = gnutls_set_default_priority(tls->session);
	if (rc >= 0)
		rc = gnutls_credentials_set(tls->session,
		    GNUTLS_CRD_CERTIFICATE, tls->credentials);
	if (rc >= 0 && is_name)
		rc = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS,
		    url->host, strlen(url->host));
	if (rc < 0)
		return why_set(why, "TLS: %s", gnutls_strerror(rc));
	if (conf->amqp_tls.verify)
		gnutls_session_set_verify_cert(tls->session, url->host, 0);
	return 0;
}

static int
explain_certificate(struct tls *tls, const struct url *url, struct why *why)
{
	unsigned status = gnutls_session_get_verify_cert_status(tls->session);
	gnutls_datum_t text = { NULL, 0 };
	size_t len;

	if (gnutls_certificate_verification_status_print(status,
		gnutls_certificate_type_get(tls->session), &text, 0) < 0)
		return why_set(why, "its certificate is not to be trusted");
	len = strlen((char *)text.data);
	while (len > 0 && strchr(". ", text.data[len - 1]) != NULL)
		len--;
	why_set(why, "its certificate is not accepted for \"%s\": %.*s",
	    url->host, (int)len, (char *)text.data);
	gnutls_free(text.data);
	return -1;
}

static int
explain(struct tls *tls, int rc, struct why *why)
{
	switch (rc) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return why_set(why, "it ended TLS: %s",
		    gnutls_alert_get_name(gnutls_alert_get(tls->session)));
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_RECORD_OVERFLOW:
		return why_set(why,
		    "it does not speak TLS on that port (amqps://)");
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return why_set(why, "the broker closed the connection");
	default:
		return why_set(why, "TLS: %s", gnutls_strerror(rc));
	}
}

struct tls *
tls_new(const struct conf *conf, const struct url *url, struct why *why)
{
	struct tls *tls = mem_alloc(sizeof(*tls));

	if (prepare(tls, conf, url, why) == 0)
		return tls;
	tls_close(tls);
	return NULL;
}

int
tls_open(struct tls *tls, int fd, const struct url *url, int64_t until_ns,
    struct why *why)
{
	int rc;

	gnutls_transport_set_int(tls->session, fd);
	while ((rc = gnutls_handshake(tls->session)) != GNUTLS_E_SUCCESS) {
		if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
			return explain_certificate(tls, url, why);
		if (gnutls_error_is_fatal(rc))
			return explain(tls, rc, why);
		if (!net_wait(fd, gnutls_record_get_direction(tls->session),
			until_ns))
			return why_set(why,
			    "timed out: it does not answer in TLS");
	}
	return 0;
}

void
tls_close(struct tls *tls)
{
	if (tls->session != NULL)
		gnutls_deinit(tls->session);
	if (tls->credentials != NULL)
		gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

ssize_t
tls_recv(struct tls *tls, void *bytes, size_t len, struct why *why)
{
	ssize_t n;

	do
		n = gnutls_record_recv(tls->session, bytes, len);
	while (n == GNUTLS_E_INTERRUPTED);
	if (n > 0)
		return n;
	if (n == 0)
		return why_set(why, "the broker closed the connection");
	return gnutls_error_is_fatal((int)n) ? explain(tls, (int)n, why) : 0;
}

ssize_t
tls_send(struct tls *tls, const void *bytes, size_t len, struct why *why)
{
	ssize_t n;

	if (len == 0)
		return 0;
	if (len > RECORD_MAX)
		len = RECORD_MAX;
	if (!tls->flushing)
		tls->taken = len;
	/* what GnuTLS has taken once and not written it wants no more */
	do {
		n = tls->flushing ?
		    gnutls_record_send(tls->session, NULL, 0) :
		    gnutls_record_send(tls->session, bytes, len);
		tls->flushing = n == GNUTLS_E_AGAIN ||
		    n == GNUTLS_E_INTERRUPTED;
	} while (n == GNUTLS_E_INTERRUPTED);
	if (n >= 0)
		return n;
	return gnutls_error_is_fatal((int)n) ? explain(tls, (int)n, why) : 0;
}

size_t
tls_taken(const struct tls *tls)
{
	return tls->flushing ? tls->taken : 0;
}

bool
tls_has_more(const struct tls *tls)
{
	return gnutls_record_check_pending(tls->session) > 0;
}
