import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import needs
from helpers.tiny_scene import PERFORMANCES, TAKE, make_run

from pipeline.errors import InputError
from pipeline.view import __main__ as command
from pipeline.view import page, server
from pipeline.view.catalogue import Catalogue
from pipeline.view.server import Server, Shelf
from pipeline.view.sources import open_source

OTHER = "20260102_007"
FILES = ("take.json", "scene.glb", "voices.flac")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    make_run(root, takes=(TAKE, OTHER), samples=1)
    return root


@contextmanager
def serving(root, folder, *, takes=(TAKE, OTHER), most_bytes=server.MOST_BYTES):
    """The port of a server, and its shelf."""
    shelf = Shelf(Catalogue(open_source(root)), folder, most_bytes=most_bytes)
    with Server(shelf, list(takes), 0) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield found.server_address[1], shelf
        finally:
            found.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port(run, tmp_path_factory):
    with serving(run, tmp_path_factory.mktemp("shelf")) as (found, _):
        yield found


def ask(port, path, *, method="GET", host=None):
    """Status, headers and content of an answer to a path as it stands."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def raw(port, request: bytes) -> bytes:
    """What comes for bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_the_page_lists_the_takes_and_finds_all_that_it_links_to(port):
    status, headers, content = ask(port, "/")
    text = content.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    rows = json.loads(text.partition('id="takes">')[2].partition("</script>")[0])
    assert [(row["take"], row["variants"], row["page"]) for row in rows] == [
        (TAKE, 2, None),
        (OTHER, 1, None),
    ]
    for name in page.FILES:
        status, headers, content = ask(port, f"/web/{name}")
        if name == "index.html":
            assert status == 404
            continue
        assert status == 200 and content == (page.WEB / name).read_bytes()
        assert headers["Content-Type"].startswith(
            {"js": "text/javascript", "css": "text/css", "txt": "text/plain"}[name.partition(".")[2]]
        )


def test_the_files_of_a_take_are_made_on_demand(port, run, tmp_path):
    kinds = ("application/json", "model/gltf-binary", "audio/flac")
    from pipeline.view.take import write_files

    write_files(Catalogue(open_source(run)), TAKE, tmp_path)
    for name, kind in zip(FILES, kinds):
        status, headers, content = ask(port, f"/takes/{TAKE}/{name}")
        assert status == 200 and headers["Content-Type"] == kind
        assert content == (tmp_path / name).read_bytes()  # the same bytes, however often they are made
        status, headers, nothing = ask(port, f"/takes/{TAKE}/{name}", method="HEAD")
        assert status == 200 and nothing == b"" and int(headers["Content-Length"]) == len(content)


def test_answers_are_not_kept_and_the_page_may_load_its_own_files_only(port):
    for path in ("/", "/web/app.js", f"/takes/{TAKE}/take.json", "/nothing"):
        _, headers, _ = ask(port, path)
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


OUTSIDE = [
    "/../README.md",
    "/web/../page.py",
    "/web/../../view/page.py",
    "/web/..%2fpage.py",
    "/web/%2e%2e/page.py",
    "/web/%2e%2e%2fpage.py",
    "/web/%252e%252e%252fpage.py",
    "/web/..%5cpage.py",
    "/web//etc/passwd",
    "/web/%2fetc%2fpasswd",
    "//etc/passwd",
    "/etc/passwd",
    "/web/",
    "/web",
    "/web/app.js/",
    "/web/app.js%00",
    "/web/app.js%00.css",
    "/web/APP.JS",
    "/web/%ff%fe",
    "/web/link.js",
    f"/takes/{TAKE}/",
    f"/takes/{TAKE}",
    f"/takes/{TAKE}/../{TAKE}/take.json",
    f"/takes/{TAKE}/..%2f..%2fdataset%2ftakes.tsv",
    f"/takes/..%2f{TAKE}/take.json",
    f"/takes/{TAKE}%00/take.json",
    f"/takes/{TAKE}/scene.glb%00.json",
    "/takes/./take.json",
    "/takes/../take.json",
    "/" + "a" * 5000,
    "/takes/" + "a" * 60_000 + "/take.json",
    "*",
    "web/app.js",
    "/favicon.ico",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path[:40])
def test_a_path_outside_is_refused(port, path):
    status, _, content = ask(port, path)
    assert status == 404 and content == b"nothing is here\n"


def test_a_link_to_a_take_that_is_not_there_names_the_nearest(port):
    status, _, content = ask(port, "/takes/20260102_008/take.json")
    assert status == 404 and b"no take '20260102_008'; did you mean" in content
    assert ask(port, "/takes/20260102_008/scene.glb")[2] == b"nothing is here\n"


def test_a_link_beside_the_scripts_leads_nowhere(run, tmp_path, monkeypatch):
    web = tmp_path / "web"
    shutil.copytree(page.WEB, web)
    (tmp_path / "secret").write_text("secret")
    (web / "link.js").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(page, "WEB", web)
    with serving(run, tmp_path / "shelf") as (port, _):
        assert ask(port, "/web/app.js")[0] == 200
        assert ask(port, "/web/link.js")[0] == 404
        (tmp_path / "shelf" / "1").mkdir(parents=True)
        (tmp_path / "shelf" / "1" / "take.json").symlink_to(tmp_path / "secret")
        assert b"secret" not in ask(port, f"/takes/{TAKE}/take.json")[2]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET http://127.0.0.1/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /web/app.js\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /web/../\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"",
    ],
    ids=["absolute", "nul", "bytes", "long", "header", "tls", "half", "nothing"],
)
def test_no_bytes_get_more_than_a_refusal(port, request_bytes):
    answer = raw(port, request_bytes)
    assert b" 200 " not in answer.split(b"\r\n")[0] and b"root:" not in answer
    assert ask(port, "/web/app.js")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_only_get_and_head(port, method):
    status, headers, content = ask(port, "/", method=method)
    assert status in (405, 501) and b"<script" not in content


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1", 200),
        ("localhost:9000", 200),  # a forwarded port
        ("LOCALHOST", 200),
        ("[::1]:8430", 200),
        ("evil.example", 403),
        ("evil.example:8430", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:evil", 403),
        ("192.168.0.7", 403),
        ("", 403),
    ],
)
def test_only_this_machine_is_answered(port, host, status):
    for path in ("/", f"/takes/{TAKE}/take.json"):
        found, _, content = ask(port, path, host=host)
        assert found == status and (status == 200 or b"Friends" not in content)


def test_requests_for_one_take_make_it_once(run, tmp_path, monkeypatch):
    made = []
    write = server.write_files

    def slow(catalogue, take, folder):
        made.append(take)
        time.sleep(0.2)
        write(catalogue, take, folder)

    monkeypatch.setattr(server, "write_files", slow)
    with serving(run, tmp_path) as (port, _), ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda name: ask(port, f"/takes/{TAKE}/{name}"), FILES * 3))
        assert [answer[0] for answer in answers] == [200] * 9
        assert made == [TAKE]
        ask(port, f"/takes/{OTHER}/take.json")
        assert made == [TAKE, OTHER]


def test_the_folder_is_bounded_and_what_changed_is_made_anew(run, tmp_path, monkeypatch):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    made = []
    write = server.write_files
    monkeypatch.setattr(server, "write_files", lambda c, take, f: made.append(take) or write(c, take, f))
    folder = tmp_path / "shelf"
    with serving(root, folder, most_bytes=10) as (port, shelf):
        for take in (TAKE, TAKE, OTHER, TAKE):
            assert ask(port, f"/takes/{take}/take.json")[0] == 200
            assert len(list(folder.iterdir())) == 1
        assert made == [TAKE, OTHER, TAKE]
        with shelf.file(TAKE, "scene.glb") as f:  # what is being read can be read to its end
            before = ask(port, f"/takes/{OTHER}/scene.glb")
            assert before[0] == 200 and len(f.read()) > 1000
    made.clear()
    with serving(root, folder) as (port, _):
        first = ask(port, f"/takes/{TAKE}/take.json")[2]
        labels = root / "annotations" / "actions" / f"{PERFORMANCES[0]}.npy"
        np.save(labels, np.zeros_like(np.load(labels)))
        os.utime(labels, ns=(1, 1))
        second = json.loads(ask(port, f"/takes/{TAKE}/take.json")[2])
        assert made == [TAKE, TAKE] and json.loads(first) != second
        assert second["actions"][0] == [[0.0, 1.5, "sit"]]


def test_a_take_that_cannot_be_shown_says_why_and_may_be_mended(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    labels = root / "annotations" / "actions" / f"{PERFORMANCES[0]}.npy"
    good = np.load(labels)
    np.save(labels, good[1:])
    with serving(root, tmp_path / "shelf") as (port, _):
        for name in FILES:
            status, headers, content = ask(port, f"/takes/{TAKE}/{name}")
            assert status == 422 and headers["Content-Type"].startswith("text/plain")
            assert content.endswith(b"label the take again\n") and content.count(b"\n") == 1
        assert ask(port, f"/takes/{OTHER}/take.json")[0] == 200
        np.save(labels, good)
        os.utime(labels, ns=(2, 2))
        assert ask(port, f"/takes/{TAKE}/take.json")[0] == 200


def test_a_take_without_voices_has_no_sound(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    shutil.rmtree(root / "dataset" / "wav")
    with serving(root, tmp_path / "shelf") as (port, _):
        assert json.loads(ask(port, f"/takes/{TAKE}/take.json")[2])["audio"] is None
        assert ask(port, f"/takes/{TAKE}/voices.flac")[0] == 404


def test_a_fault_of_ours_is_an_answer_too(run, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(server, "write_files", lambda *_: 1 / 0)
    with serving(run, tmp_path) as (port, _):
        status, _, content = ask(port, f"/takes/{TAKE}/take.json")
        assert status == 500 and content == b"ZeroDivisionError: division by zero\n"
    assert "Traceback" in caplog.text


def test_a_browser_that_goes_away_is_no_fault(run, tmp_path, caplog):
    with serving(run, tmp_path) as (port, _):
        assert ask(port, f"/takes/{TAKE}/scene.glb")[0] == 200
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(
                    f"GET /takes/{TAKE}/scene.glb HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                )
        assert ask(port, "/")[0] == 200
    assert not caplog.records


def test_a_port_in_use_or_none_stops_with_one_line(run, tmp_path, capsys):
    with serving(run, tmp_path) as (port, _):
        for number, needle in ((port, "is in use"), (70_000, "need 0 to 65535"), (-1, "need 0 to 65535")):
            with pytest.raises(SystemExit) as stop:
                command.main(["--source", str(run), "--port", str(number), "--no-open"])
            said = capsys.readouterr().err
            assert stop.value.code == 2 and f"--port: {'got ' * (number != port)}{number}" in said
            assert needle in said and said.count("\n") == 1


def test_a_take_that_is_not_there_stops_with_the_nearest_name(run, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["20260102_070", "--source", str(run), "--port", "0", "--no-open"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and f"did you mean {OTHER}?" in said and said.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped_and_leaves_nothing(run, tmp_path, number):
    words = [sys.executable, "-m", "pipeline.view", OTHER, "--source", run, "--port", "0", "--no-open"]
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        line = process.stdout.readline()
        port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        assert line.startswith("1 takes of") and f"/#take={OTHER} " in line
        assert ask(port, f"/takes/{OTHER}/take.json")[0] == 200
        assert ask(port, f"/takes/{TAKE}/take.json")[0] == 404
        assert list(tmp_path.glob("interact-view-*"))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and out == "" and err == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "screen, takes, end", [(":0", [], "/"), (":0", [OTHER], f"/#take={OTHER}"), ("", [], None)]
)
def test_the_browser_opens_where_there_is_a_screen(run, monkeypatch, screen, takes, end):
    opened = []
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(Server, "serve_forever", lambda self: command._stop())
    command.main([*takes, "--source", str(run), "--port", "0"])
    assert [url[url.index("/", 8) :] for url in opened] == ([end] if end else [])


def test_the_shelf_refuses_what_is_no_take(run, tmp_path):
    with pytest.raises(InputError, match="no take"):
        Shelf(Catalogue(open_source(run)), tmp_path).file("x", "take.json")


def test_a_browser_plays_what_is_served_under_its_policy(run, tmp_path):
    """What the policy forbids is an error of the console."""
    chromium = needs.browser()
    from playwright.sync_api import sync_playwright

    flags = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
    flags.append("--autoplay-policy=no-user-gesture-required")
    root = tmp_path / "run"
    shutil.copytree(run, root)
    bad = root / "annotations" / "facing" / f"{OTHER[:8]}_001_{OTHER[9:]}.npy"
    np.save(bad, np.load(bad)[1:])
    said = []
    with serving(root, tmp_path / "shelf") as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        shown = browser.new_page()
        shown.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        shown.on("pageerror", lambda error: said.append(f"error: {error}"))

        def state(key, good):
            """What the page says of itself, once it is good."""
            for _ in range(600):
                if good(found := shown.evaluate("viewer.state()")[key]):
                    return found
                time.sleep(0.1)
            raise AssertionError(f"{key} stays {found}: {shown.evaluate('viewer.state()')}")

        shown.goto(f"http://127.0.0.1:{port}/#take={TAKE}&show=captured,trained_models")
        state("ready", bool)
        assert shown.evaluate("viewer.state()")["show"] == ["captured", "trained_models"]
        shown.keyboard.press("Space")
        state("time", lambda seconds: seconds > 0.3)
        assert not [line for line in said if line.startswith("error") or "Content" in line]
        shown.goto(f"http://127.0.0.1:{port}/#take={OTHER}")
        message = state("message", bool)
        assert message.endswith("label the take again") and bad.name in message
        browser.close()
