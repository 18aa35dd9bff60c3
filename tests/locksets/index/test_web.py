"""The door to the web: kept connections, redirections, proxies, logins, silence, mirrors in files."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from verl_env.locksets import web
from verl_env.locksets.web import WebError, open_url


class Server:
    """A server that keeps connections and writes down what it is asked: path and Authorization.

    ``/to/ADDRESS`` leads to an address, ``/gone`` is not there, ``/loop`` leads to itself, ``/silent`` never answers;
    with ``hang_up`` it ends each connection after an answer without saying so.
    """

    def __init__(self):
        self.asked, self.hang_up, self.connections = [], False, 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                server.connections += 1

            def do_GET(self):
                server.answer(self)

            do_CONNECT = do_HEAD = do_GET  # noqa: N815

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.host = f"127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, request):
        headers = request.headers
        self.asked.append((request.path, headers.get("Authorization") or headers.get("Proxy-Authorization")))
        if request.path == "/silent":
            time.sleep(3)
            return
        body = f"{request.path} of {self.host}".encode()
        if request.path.startswith("/to/"):
            request.send_response(302)
            request.send_header("Location", request.path.removeprefix("/to/"))
        elif request.path == "/loop":
            request.send_response(307)
            request.send_header("Location", "/loop")
        else:
            request.send_response(404 if request.path == "/gone" else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if request.command == "GET" else b"")
        request.close_connection = self.hang_up

    def url(self, path="/x", login=""):
        return f"http://{login}{self.host}{path}"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    web._pools.cache_clear()
    yield
    for proxy in (None, *PROXIES):
        web._pools(proxy).clear()
    web._pools.cache_clear()


PROXIES = []


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


other = server


def read(address, **options):
    with open_url(address, timeout=1, **options) as answer:
        return answer.read().decode()


def test_files_of_one_host_share_a_connection(server):
    for number in range(20):
        assert read(server.url(f"/{number}")) == f"/{number} of {server.host}"
    assert read(server.url("/x"), method="HEAD") == ""
    assert server.connections == 1


def test_what_is_left_unread_does_not_get_into_the_next_answer(server):
    with open_url(server.url("/long"), timeout=1) as answer:
        assert answer.read(2) == b"/l"
    assert read(server.url("/next")) == f"/next of {server.host}"


def test_a_connection_that_was_ended_meanwhile_is_made_anew(server):
    server.hang_up = True
    assert [read(server.url(f"/{number}")) for number in range(3)] == [f"/{n} of {server.host}" for n in range(3)]
    assert server.connections == 3


def test_a_refusal_has_its_status_and_the_connection_is_kept(server):
    for _ in range(2):
        with pytest.raises(WebError, match="answers 404 Not Found") as refused:
            read(server.url("/gone"))
        assert (refused.value.status, refused.value.passing) == (404, False)
    assert server.connections == 1


def test_a_silent_server_is_left_at_the_deadline(server):
    started = time.monotonic()
    with pytest.raises(WebError, match="timed out") as silent:
        read(server.url("/silent"))
    assert silent.value.passing
    assert time.monotonic() - started < 2.5


def test_nobody_there_is_said_in_words_of_the_system():
    with pytest.raises(WebError, match=r"cannot be reached \(Connection refused\)"):
        read("http://127.0.0.1:1/x")


@pytest.mark.parametrize("address", ["ftp://host/x", "http:///x", "x"])
def test_what_is_no_address_of_the_web(address):
    with pytest.raises(WebError) as refused:
        read(address)
    assert not refused.value.passing


def test_a_login_goes_to_its_host_alone(server):
    where = Server()
    try:
        assert read(server.url(f"/to/{where.url('/y')}", login="me:s%40cret@")) == f"/y of {where.host}"
        login = "Basic " + base64.b64encode(b"me:s@cret").decode()
        assert (server.asked[0][1], where.asked) == (login, [("/y", None)])
    finally:
        where.http.shutdown()
        where.http.server_close()


def test_an_address_that_leads_to_itself_ends(server):
    with pytest.raises(WebError, match="leads on and on"):
        read(server.url("/loop"))


def test_a_redirection_to_a_file_is_refused(server, tmp_path):
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(WebError, match="is no address of the web"):
        read(server.url(f"/to/{(tmp_path / 'secret').as_uri()}"))


def test_the_proxy_of_this_host_is_asked_with_its_login(server, monkeypatch):
    proxy = f"http://you:pass@{server.host}"
    PROXIES.append(proxy)
    monkeypatch.setenv("http_proxy", proxy)
    assert read("http://pages.invalid/x") == f"http://pages.invalid/x of {server.host}"
    assert server.asked == [("http://pages.invalid/x", "Basic " + base64.b64encode(b"you:pass").decode())]
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(WebError):  # the tunnel is made, and no TLS behind it
        read("https://pages.invalid/x")
    assert server.asked[1][0] == "pages.invalid:443"


def test_a_host_that_needs_no_proxy_is_asked_itself(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert read(server.url()) == f"/x of {server.host}"


def test_a_mirror_may_be_a_folder(tmp_path):
    (tmp_path / "x").write_text("from a file")
    assert read((tmp_path / "x").as_uri()) == "from a file"
    with pytest.raises(WebError, match="No such file"):
        read((tmp_path / "y").as_uri())
