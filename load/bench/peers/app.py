"""The handler of the comparison as a WSGI application: reads the body, takes 5 ms, answers."""

import json
import os
import time


def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    read = 0
    while read < length:
        chunk = environ["wsgi.input"].read(min(65536, length - read))
        if not chunk:
            break
        read += len(chunk)
    time.sleep(0.005)
    body = json.dumps({"pid": os.getpid(), "bytes": read}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
