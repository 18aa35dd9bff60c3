"""Hosts on this machine that answer as told: at once, late, never, with an error; and one that nobody listens on."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Host:
    """``codes`` maps paths to what they answer, 200 for the others; ``wait`` is the seconds before each answer."""

    def __init__(self, wait=0.0):
        self.codes = {}
        self.asked = []
        self.wait = wait
        self.closing = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                host.asked.append((self.path, self.headers.get("Range")))
                host.closing.wait(host.wait)
                code = host.codes.get(self.path, 200)
                self.send_response(code)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.name = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path):
        return f"http://{self.name}{path}"

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Silent:
    """Takes connections and never answers."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.name = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def url(self, path):
        return f"http://{self.name}{path}"

    def close(self):
        self._socket.close()


def refusing():
    """The name of a host that refuses connections: nobody listens on its port any more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
