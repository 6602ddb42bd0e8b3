-- SPDX-License-Identifier: BSD-2-Clause
-- Has wrk print its result as one line of JSON. Nothing runs per request.
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
	    'JSON {"requests": %d, "duration_us": %d, "p50_us": %d, ' ..
	    '"p90_us": %d, "p99_us": %d, "max_us": %d, "errors": ' ..
	    '{"connect": %d, "read": %d, "write": %d, "status": %d, ' ..
	    '"timeout": %d}}\n',
	    summary.requests, summary.duration, latency:percentile(50),
	    latency:percentile(90), latency:percentile(99), latency.max,
	    e.connect, e.read, e.write, e.status, e.timeout))
end
