# SPDX-License-Identifier: BSD-2-Clause
# The WSGI application that gunicorn and uWSGI serve.
def application(environ, start_response):
    body = b'{"message":"hello, world!"}'
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
