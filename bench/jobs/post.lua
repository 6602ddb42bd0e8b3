-- SPDX-License-Identifier: BSD-2-Clause
-- The body and headers of a job for wrk, and wrk_report's line of JSON. With
-- BENCH_PREFER in the environment, that is the Prefer header.
wrk.method = "POST"
wrk.body = '{"n":12345}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Prefer"] = os.getenv("BENCH_PREFER")
dofile(os.getenv("BENCH_REPORT"))
