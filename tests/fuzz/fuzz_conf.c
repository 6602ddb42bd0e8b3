/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_conf - any bytes as a config file.
 *
 * Loading gives a config or at least one error, never both and never neither,
 * and every error is one line.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/conf.h"
#include "fuzz.h"

const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets strings before a syntax error; see lsan.supp. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

/* An anonymous file that has a name while the process lives. */
static int
file_of(const uint8_t *data, size_t size, char name[64])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_REQUIRE(fd != -1);
	FUZZ_REQUIRE(write(fd, data, size) == (ssize_t)size);
	snprintf(name, 64, "/proc/self/fd/%d", fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_errors errors = { 0 };
	struct conf *conf;
	char name[64];
	int fd;

	/* libconfig would open what the input names */
	if (memmem(data, size, "@include", 8) != NULL)
		return 0;
	fd = file_of(data, size, name);
	conf = conf_load(name, &errors);
	FUZZ_REQUIRE((conf == NULL) == (errors.n > 0));
	for (size_t i = 0; i < errors.n; i++)
		FUZZ_REQUIRE(strchr(errors.v[i], '\n') == NULL);
	if (conf != NULL)
		conf_free(conf);
	conf_errors_release(&errors);
	close(fd);
	return 0;
}
