"""Several app processes behind one address: who belongs where, and what is handed over."""

import array
import socket
import threading

import pytest

from crm_core.cli import front, reception
from crm_core.cli.front import Front, Line, Places, key_of
from web import cookies, gate

pytestmark = pytest.mark.skipif(not front.POSSIBLE, reason="connections travel on Linux only")


def head(*lines):
    return "\r\n".join(("GET / HTTP/1.1", "Host: x", *lines, "", "")).encode()


def test_the_two_ends_call_things_by_the_same_names():
    assert front.SESSION_COOKIE.decode() == cookies.SESSION_COOKIE
    assert (front.VARIABLE, front.NUMBER) == (gate.VARIABLE, gate.NUMBER)
    assert reception.HEAD_BYTES * 2 < gate.LARGEST


def test_a_person_is_known_by_the_session_and_anybody_else_by_the_address():
    mine = key_of(head("Cookie: theme=dark; rapport_session=abc_-9"), "10.0.0.1")
    assert mine == key_of(head("cookie:rapport_session=abc_-9; theme=dark"), "10.0.0.2")
    assert b"abc" not in mine, "the token itself is not kept"
    assert mine != key_of(head("Cookie: rapport_session=other"), "10.0.0.1")
    for stranger in ("Cookie: not_rapport_session=abc_-9", "X-Note: rapport_session=abc_-9", "Cookie: theme=dark"):
        assert key_of(head(stranger), "10.0.0.1") == b"10.0.0.1"
    assert key_of(head() + b"\r\nCookie: rapport_session=abc_-9\r\n", "10.0.0.1") == b"10.0.0.1", (
        "what stands in the body says nothing"
    )


def test_people_stay_where_they_are_and_new_ones_come_to_the_emptier_place(monkeypatch):
    places = Places([Line(None, None), Line(None, None)])
    assert places.of(b"early") is None, "nobody serves yet"
    places.lines[0].ready = True
    early = [places.of(bytes([n])) for n in range(3)]
    assert set(map(id, early)) == {id(places.lines[0])}
    places.lines[1].ready = True
    assert [places.of(bytes([n])) for n in range(10, 13)] == [places.lines[1]] * 3
    assert places.of(bytes([0])) is places.lines[0]
    monkeypatch.setattr(front, "REMEMBERED", 6)
    places.of(b"one too many")
    assert len(places.known) == 6 and sum(line.people for line in places.lines) == 6


def test_a_connection_arrives_with_its_head_at_the_process_of_its_person():
    found = Front("127.0.0.1", 0, 2)
    found.open()
    found.start()
    port = found.listener.getsockname()[1]
    for line in found.lines:
        line.there.settimeout(10)
        line.there.send(b"ready")
    answers = {}

    def process(name, line):
        for _ in range(2):
            read, ancillary, _flags, _address = line.there.recvmsg(65_536, socket.CMSG_SPACE(4))
            descriptors = array.array("i")
            descriptors.frombytes(ancillary[0][2])
            with socket.socket(fileno=descriptors[0]) as connection:
                answers.setdefault(name, []).append(read)
                connection.sendall(name)

    threads = [threading.Thread(target=process, args=(bytes([65 + n]), line)) for n, line in enumerate(found.lines)]
    for thread in threads:
        thread.start()
    heard = []
    for who in ("ann", "bob", "ann", "bob"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as browser:
            sent = head(f"Cookie: rapport_session={who}")
            browser.sendall(sent[:20])  # a head may come in pieces
            browser.sendall(sent[20:] + b"body")
            heard.append(browser.recv(1))
    for thread in threads:
        thread.join(10)
    assert heard[0] == heard[2] != heard[1] == heard[3]
    assert all(read.endswith(b"body") for each in answers.values() for read in each)
    found.close()


def test_a_head_without_an_end_is_refused():
    found = Front("127.0.0.1", 0, 2)
    found.open()
    found.start()
    with socket.create_connection(found.listener.getsockname()[:2], timeout=10) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * reception.HEAD_BYTES)
        assert browser.recv(100).startswith(b"HTTP/1.1 431")
    found.close()


def test_a_port_that_is_taken_is_said_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        Front("127.0.0.1", taken.getsockname()[1], 2).open()
