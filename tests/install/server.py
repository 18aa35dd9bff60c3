"""A package index on this host that misbehaves as told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Index:
    """Serves the files of a directory as ``/simple/<project>/`` and ``/files/<name>``.

    ``faults`` maps file names to ``gone`` (404), ``broken`` (503), ``denied`` (403), ``cut`` (ends half-way, without
    its announced length), ``cut-once`` or ``stall`` (stops half-way). ``asked`` lists every path that was asked for,
    ``fetched`` those that were asked for as a whole.
    """

    def __init__(self, directory):
        self.directory = directory
        self.faults = {}
        self.asked = []
        self.fetched = []
        self.closing = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.send_error(405)

            def do_GET(self):
                index.asked.append(self.path)
                if self.headers.get("Range") != "bytes=0-0":  # the first byte alone: only whether it is there
                    index.fetched.append(self.path)
                index.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def simple(self):
        return f"{self.address}/simple"

    def url(self, name):
        return f"{self.address}/files/{name}"

    def answer(self, request):
        kind, _, name = request.path.strip("/").partition("/")
        if kind == "simple":
            self._page(request, name)
        else:
            self._file(request, name.replace("%2B", "+"))

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _page(self, request, project):
        names = [path.name for path in self.directory.iterdir()]
        mine = [name for name in names if name.partition("-")[0].replace("_", "-") == project]
        if not mine:
            request.send_error(404)
            return
        links = "".join(f'<a href="/files/{name}">{name}</a><br>' for name in mine)
        self._send(request, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def _file(self, request, name):
        fault = self.faults.get(name)
        codes = {"gone": 404, "broken": 503, "denied": 403}
        if fault in codes or not (self.directory / name).is_file():
            request.send_error(codes.get(fault, 404))
            return
        if fault == "cut-once":
            self.faults.pop(name)
        content = (self.directory / name).read_bytes()
        self._send(request, content, "application/octet-stream", fault)

    def _send(self, request, content, kind, fault=None):
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if fault else content)
        if fault == "stall":
            self.closing.wait()
        request.close_connection = True
