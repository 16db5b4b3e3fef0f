"""Remote files from a real server on loopback, and hosts that are never asked."""

from __future__ import annotations

import http.server
import ipaddress
import threading

import pytest

from trainer.errors import DatasetRefused, SettingsUnusable, SourceUnreachable
from trainer.workbench.datasets import addresses, remote
from trainer.workbench.datasets.importing import Asked, import_table
from trainer.workbench.datasets.limits import Limits

CSV = b"a,b\n1,x\n2,y\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        onward = {
            "/again": "/t.csv",
            "/loop": "/loop",
            "/metadata": "http://169.254.169.254/latest/meta-data/",
            "/file": "file:///etc/passwd",
        }.get(self.path)
        if onward:
            self.send_response(302)
            self.send_header("Location", onward)
            self.end_headers()
        elif self.path.startswith("/t.csv"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CSV)))
            self.end_headers()
            self.wfile.write(CSV)
        elif self.path == "/endless.csv":
            self.send_response(200)
            self.end_headers()
            try:
                self.wfile.write(b"a,b\n")
                while True:
                    self.wfile.write(b"1,2\n" * 10_000)
            except OSError:
                pass
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked = []
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def bring(tmp_path, server, path, **asked):
    settings = {"schemes": ("http", "https"), "allow_loopback": True} | asked
    url = f"http://127.0.0.1:{server.server_port}{path}"
    return import_table(Asked(url, tmp_path / "set", **settings), lambda *_: None)


def test_a_remote_file_becomes_a_data_set(tmp_path, server):
    """Straight or after a redirect; its address is kept without the secrets in it."""
    about = bring(tmp_path, server, "/t.csv?token=s3cret")
    assert (about["rows"], about["name"]) == (2, "t.csv")
    assert about["source"]["kind"] == "remote"
    assert about["source"]["what"] == f"http://127.0.0.1:{server.server_port}/t.csv"
    assert bring(tmp_path, server, "/again", file_name="t.csv")["digest"] == about["digest"]


@pytest.mark.parametrize(("path", "says"), [
    ("/metadata", "metadata service"),
    ("/file", "file:// is not followed"),
    ("/loop", "leads on more than"),
    ("/nothing", "answered 404"),
])
def test_answers_that_lead_astray(tmp_path, server, path, says):
    """Redirects to the metadata service, to files and in circles are not followed, and an error is said."""
    with pytest.raises(SourceUnreachable, match=says):
        bring(tmp_path, server, path)


def test_a_stream_without_end_is_cut_at_the_limit(tmp_path, server):
    """Bytes are counted as they come, whatever the server said."""
    with pytest.raises(DatasetRefused, match="max-bytes"):
        bring(tmp_path, server, "/endless.csv", limits=Limits(max_bytes=500_000))
    assert list((tmp_path / "set").iterdir()) == []


def test_this_very_host_and_unnamed_schemes_are_not_asked(tmp_path, server):
    """Loopback and any scheme that was not named are refused before a byte is sent."""
    with pytest.raises(SourceUnreachable, match="this very host"):
        bring(tmp_path, server, "/t.csv", allow_loopback=False)
    with pytest.raises(SettingsUnusable, match="not allowed"):
        bring(tmp_path, server, "/t.csv", schemes=("https",))
    for url in ("file:///etc/passwd", "memory://x.csv", "simplecache::https://host/x.csv"):
        with pytest.raises(SettingsUnusable, match="not allowed"):
            import_table(Asked(url, tmp_path / "set"), lambda *_: None)
    assert server.asked == []


def test_the_connection_goes_to_the_address_that_was_checked(tmp_path, server):
    """A name is looked up once a request; the server is asked under the name."""
    asked = []

    def lookup(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    url = f"http://files.example:{server.server_port}/t.csv"
    got = remote.fetch(url, tmp_path / "t", Limits(), ("http",), allow_loopback=True, lookup=lookup)
    assert got.path.read_bytes() == CSV
    assert asked == ["files.example"]
    assert server.asked == [("/t.csv", f"files.example:{server.server_port}")]


def test_one_bad_address_among_good_ones_is_enough(tmp_path):
    """A name that points to a public and a metadata address is refused."""
    with pytest.raises(SourceUnreachable, match="metadata"):
        addresses.resolve("x", 443, allow_loopback=False, lookup=lambda *_: ["93.184.216.34", "169.254.169.254"])


def test_storage_through_fsspec(tmp_path):
    """What fsspec knows is fetched when its scheme is named, and counted; what is not installed is said."""
    import fsspec

    fsspec.filesystem("memory").pipe("/bucket/t.csv", CSV)
    asked = {"schemes": ("memory", "s3"), "limits": Limits()}
    assert import_table(Asked("memory://bucket/t.csv", tmp_path / "set", **asked), lambda *_: None)["rows"] == 2
    with pytest.raises(SourceUnreachable, match="no such file"):
        import_table(Asked("memory://bucket/no.csv", tmp_path / "set", **asked), lambda *_: None)
    with pytest.raises(DatasetRefused, match="max-bytes"):
        import_table(
            Asked("memory://bucket/t.csv", tmp_path / "set", schemes=("memory",), limits=Limits(max_bytes=5)), lambda *_: None
        )


@pytest.mark.parametrize(("address", "why"), [
    ("169.254.169.254", "metadata"), ("::ffff:169.254.169.254", "metadata"), ("64:ff9b::a9fe:a9fe", "metadata"),
    ("2002:a9fe:a9fe::1", "metadata"), ("fd00:ec2::254", "metadata"), ("100.100.100.200", "metadata"),
    ("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("0.0.0.0", "no address"), ("::", "no address"),
    ("224.0.0.1", "no address"), ("255.255.255.255", "no address"), ("127.0.0.1", "this very host"), ("::1", "this very host"),
    ("::ffff:127.0.0.1", "this very host"), ("127.8.8.8", "this very host"),
    ("10.0.0.5", None), ("192.168.1.10", None), ("8.8.8.8", None), ("2001:4860:4860::8888", None),
])
def test_addresses(address, why):
    """Metadata, link-local and the host itself are refused in every spelling; private networks and others are not."""
    found = addresses.refused(ipaddress.ip_address(address), allow_loopback=False)
    assert (found is None) if why is None else (why in found)
