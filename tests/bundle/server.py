"""A file server on this host that knows ranges, breaks off, and forgets, as told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files:
    """Serves ``contents`` by name. ``faults`` maps names to ``cut`` (each answer ends half-way), ``cut-once``,
    ``no-range`` (sends all whatever is asked for) or ``gone``; ``asked`` lists name and Range of each request."""

    def __init__(self):
        self.contents, self.faults, self.asked = {}, {}, []
        files = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                files.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, name):
        return f"{self.address}/{name}"

    def answer(self, request):
        name, wanted = request.path.strip("/"), request.headers.get("Range")
        self.asked.append((name, wanted))
        fault = self.faults.get(name)
        if name not in self.contents or fault == "gone":
            request.send_error(404)
            return
        content, begin = self.contents[name], 0
        if wanted and fault != "no-range":
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        rest = content[begin:]
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if fault == "cut-once":
            self.faults.pop(name)
        request.wfile.write(rest[: len(rest) // 2] if fault in ("cut", "cut-once") else rest)
        request.close_connection = True

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
